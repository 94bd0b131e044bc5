// What has expired, as the worker erases it: from its time on it is deleted, with a purge that is due at once.
import type { Queryable } from '../../kernel/db.ts';
import { secretExpired, versionExpired } from './version-locks.ts';

/** A secret, or one version of it. */
export interface Expiring {
  instanceUid: string;
  secretUid: string;
  version: number | null;
}

export interface Expired extends Expiring {
  groupUid: string;
  resource: string;
  expireTime: Date;
}

const COLUMNS = `s.instance_uid as "instanceUid", s.secret_uid as "secretUid", g.group_uid as "groupUid",
  'instances/' || i.instance_id || '/groups/' || g.group_id || '/secrets/' || s.secret_id`;
const FROM = `from secrets s join secret_groups g using (instance_uid, group_uid) join instances i using (instance_uid)`;
/** What is being purged, or is below that, goes without this. */
const KEPT = `s.instance_uid = $1 and s.secret_uid = $2 and 'PURGING' <> all(array[s.state, g.state, i.state])`;

/** Once the secret is locked nobody can make a lock on a version any more, and all that were made are seen. */
const selectDue = async (tx: Queryable, { instanceUid, secretUid, version }: Expiring): Promise<{ expireTime: Date } | undefined> => {
  const text =
    version === null
      ? `select s.expire_time as "expireTime" from secrets s where s.instance_uid = $1 and s.secret_uid = $2 and s.state = 'ACTIVE' and ${secretExpired('s')}`
      : `select v.expire_time as "expireTime" from secret_versions v where v.instance_uid = $1 and v.secret_uid = $2 and v.version = $3
          and v.state in ('ENABLED', 'DISABLED') and ${versionExpired('v')}`;
  const values = version === null ? [instanceUid, secretUid] : [instanceUid, secretUid, version];
  return (await tx.query<{ expireTime: Date }>({ name: `purge.selectDue${version === null ? 'Secret' : 'Version'}`, text, values }))[0];
};

/** Locked as for any change of a secret; undefined if it is not due, or somebody has deleted or locked it meanwhile. */
export const lockExpired = async (tx: Queryable, expiring: Expiring): Promise<Expired | undefined> => {
  const { instanceUid, secretUid, version } = expiring;
  const text = `select ${COLUMNS} as resource ${FROM} where ${KEPT} for update of s for share of g, i`;
  const [secret] = await tx.query<Omit<Expired, 'expireTime'>>({ name: 'purge.lockExpired', text, values: [instanceUid, secretUid] });
  const due = secret && (await selectDue(tx, expiring));
  return due && { ...secret, ...due, version, resource: version === null ? secret.resource : `${secret.resource}/versions/${version}` };
};

const MARK_SECRET = `update secrets set state = 'DELETED', delete_time = now(), purge_time = now(), revision = revision + 1, update_time = now()
  where instance_uid = $1 and secret_uid = $2`;
const MARK_VERSION = `update secret_versions set state = 'DESTROY_SCHEDULED', purge_time = now(), revision = revision + 1
  where instance_uid = $1 and secret_uid = $2 and version = $3`;

/** `uid` is that of its purge. */
export const expire = async (tx: Queryable, e: Expired, uid: string, by: string): Promise<void> => {
  if (e.version === null) await tx.query({ name: 'purge.expireSecret', text: MARK_SECRET, values: [e.instanceUid, e.secretUid] });
  else await tx.query({ name: 'purge.expireVersion', text: MARK_VERSION, values: [e.instanceUid, e.secretUid, e.version] });
  const text = 'select schedule_purge($1, $2, $3, $4, $5, $6, $7, now(), $8)';
  const kind = e.version === null ? 'SECRET' : 'VERSION';
  const values = [uid, kind, e.instanceUid, e.groupUid, e.secretUid, e.version, e.resource, by];
  await tx.query({ name: 'purge.scheduleExpired', text, values });
};

const KEY = `'expire:' || secret_uid || '/' || coalesce(version, 0)`;
const PAYLOAD = `'instanceUid', instance_uid, 'secretUid', secret_uid, 'version', version`;

/** Another turn, in place of any job it has. */
export const addExpiryTurn = async (tx: Queryable, e: Expiring, delayMs: number, failures: number): Promise<void> => {
  const text = `select graphile_worker.add_job('expire', json_build_object(${PAYLOAD}, 'failures', $4::int),
      run_at => now() + make_interval(secs => $5::float8 / 1000), job_key => ${KEY}, max_attempts => 1000)
    from (values ($1::uuid, $2::uuid, $3::int)) e (instance_uid, secret_uid, version)`;
  await tx.query({ name: 'purge.addExpiryTurn', text, values: [e.instanceUid, e.secretUid, e.version, failures, delayMs] });
};

const DUE = `(select instance_uid, secret_uid, null::int as version, expire_time from secrets s
      where expire_time <= now() and state = 'ACTIVE' and ${secretExpired('s')} order by expire_time limit $1)
    union all (select instance_uid, secret_uid, version, expire_time from secret_versions v
      where expire_time <= now() and state in ('ENABLED', 'DISABLED') and ${versionExpired('v')} order by expire_time limit $1)`;

/** Of what has been due for longest, that which has lost its job, as after a restore: each gets one. Answers how many. */
export const addLostExpiries = async (tx: Queryable, limit: number): Promise<number> => {
  const text = `with due as materialized (${DUE}),
    lost as (select * from due where not exists (select from graphile_worker.jobs where key = ${KEY} and attempts < max_attempts))
    select graphile_worker.add_job('expire', json_build_object(${PAYLOAD}), job_key => ${KEY}, max_attempts => 1000) from lost`;
  return (await tx.query({ name: 'purge.addLostExpiries', text, values: [limit] })).length;
};

/** For how many seconds the oldest has been due. */
export const selectExpiryLag = async (db: Queryable): Promise<number> => {
  const text = `select coalesce(extract(epoch from now() - min(expire_time)), 0)::float8 as seconds from (${DUE}) due`;
  return (await db.query<{ seconds: number }>({ name: 'purge.selectExpiryLag', text, values: [1] }))[0]?.seconds ?? 0;
};
