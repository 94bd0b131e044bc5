// Tables `instance_usage` and `group_usage`: what triggers have counted, in the transactions that change it. One thing has several
// rows, so that writers do not wait for one another; their sum is what counts.
import type { Queryable } from '../../kernel/db.ts';
import type { ResourcePath } from '../names.ts';

export interface Usage {
  bytes: bigint;
  groups: bigint;
  /** In the group, if the path names one. */
  secrets: bigint | null;
  /** Not destroyed, of the secret, if the path names one. */
  versions: bigint | null;
}

const BYTES = '(select coalesce(sum(bytes), 0)::int8 from instance_usage where instance_uid = i.instance_uid) as bytes';
const SECRETS = `(select coalesce(sum(secrets), 0)::int8 from group_usage where instance_uid = i.instance_uid and group_uid = g.group_uid) as secrets`;

/** What a new secret or version is measured by, in one statement. */
export const selectRoom = async (db: Queryable, path: ResourcePath): Promise<Pick<Usage, 'bytes' | 'secrets'> | undefined> => {
  const text = `select ${BYTES}, ${SECRETS} from instances i join secret_groups g using (instance_uid) where i.instance_id = $1 and g.group_id = $2`;
  const values = [path.instance, 'group' in path ? path.group : ''];
  return (await db.query<Pick<Usage, 'bytes' | 'secrets'>>({ name: 'store.selectRoom', text, values }))[0];
};

export const countGroups = async (db: Queryable, instanceUid: string): Promise<number> => {
  const text = 'select count(*)::int as count from secret_groups where instance_uid = $1';
  return (await db.query<{ count: number }>({ name: 'store.countGroups', text, values: [instanceUid] }))[0]!.count;
};

/** Those that are not destroyed. */
export const countVersions = async (db: Queryable, secret: { instance_uid: string; secret_uid: string }): Promise<number> => {
  const text = `select count(*)::int as count from secret_versions where instance_uid = $1 and secret_uid = $2 and state <> 'DESTROYED'`;
  const values = [secret.instance_uid, secret.secret_uid];
  return (await db.query<{ count: number }>({ name: 'store.countVersions', text, values }))[0]!.count;
};

/** Undefined if what the path names is not there. */
export const selectUsage = async (db: Queryable, path: ResourcePath): Promise<Usage | undefined> => {
  const text = `select ${BYTES}, (select count(*) from secret_groups c where c.instance_uid = i.instance_uid) as groups,
      case when g.group_uid is not null then ${SECRETS.replace(' as secrets', '')} end as secrets,
      case when s.secret_uid is not null then (select count(*) from secret_versions v
        where v.instance_uid = i.instance_uid and v.secret_uid = s.secret_uid and v.state <> 'DESTROYED') end as versions
    from instances i left join secret_groups g on g.instance_uid = i.instance_uid and g.group_id = $2
    left join secrets s on s.instance_uid = i.instance_uid and s.group_uid = g.group_uid and s.secret_id = $3
    where i.instance_id = $1 and ($2::text is null or g.group_uid is not null) and ($3::text is null or s.secret_uid is not null)`;
  const values = [path.instance, 'group' in path ? path.group : null, 'secret' in path ? path.secret : null];
  return (await db.query<Usage>({ name: 'store.selectLimitUsage', text, values }))[0];
};
