// Tables `rekeys` and `rekeys_wanted`: groups whose key is replaced, or is to be.
import type { Queryable } from '../../kernel/db.ts';

export type RekeyState = 'ROTATING' | 'REWRAPPING' | 'DESTROYING' | 'DONE';

export interface GroupKey {
  instance_uid: string;
  group_uid: string;
}

export interface RekeyRow extends GroupKey {
  instance_id: string;
  group_id: string;
  state: RekeyState;
  /** Of the group's key: the one that is replaced, and the one in its place. */
  old_version: number | null;
  new_version: number | null;
  total: bigint;
  done: bigint;
  secret_cursor: string;
  version_cursor: number;
  stuck: bigint;
  start_time: Date;
  end_time: Date | null;
  started_by: string;
  correlation_id: string;
  last_error: string;
}

const COLUMNS = `r.instance_uid, r.group_uid, i.instance_id, g.group_id, r.state, r.old_version, r.new_version, r.total, r.done, r.secret_cursor,
  r.version_cursor, r.stuck, r.start_time, r.end_time, r.started_by, r.correlation_id, r.last_error`;
const FROM = 'from rekeys r join secret_groups g using (instance_uid, group_uid) join instances i using (instance_uid)';
const keyOf = ({ instance_uid, group_uid }: GroupKey) => [instance_uid, group_uid];

/** Those of these groups that have one, in no order. */
export const selectRekeys = (db: Queryable, groups: readonly GroupKey[]): Promise<RekeyRow[]> => {
  const text = `select ${COLUMNS} ${FROM} where (r.instance_uid, r.group_uid) in (select * from unnest($1::uuid[], $2::uuid[]))`;
  return db.query<RekeyRow>({
    name: 'store.selectRekeys',
    text,
    values: [groups.map((g) => g.instance_uid), groups.map((g) => g.group_uid)],
  });
};

export const selectRekey = async (db: Queryable, group: GroupKey): Promise<RekeyRow | undefined> => (await selectRekeys(db, [group]))[0];

/** To be called with the group's row locked. False if one is under way. */
export const beginRekey = async (tx: Queryable, group: GroupKey, startedBy: string, correlationId: string): Promise<boolean> => {
  const text = `insert into rekeys (instance_uid, group_uid, started_by, correlation_id) values ($1, $2, $3, $4)
    on conflict (instance_uid, group_uid) do update set state = 'ROTATING', old_version = null, new_version = null, total = 0, done = 0,
      secret_cursor = '', version_cursor = 0, stuck = 0, start_time = now(), end_time = null, due_time = now(), last_error = '',
      started_by = excluded.started_by, correlation_id = excluded.correlation_id
    where rekeys.state = 'DONE' returning group_uid`;
  const begun = await tx.query({ name: 'store.beginRekey', text, values: [...keyOf(group), startedBy, correlationId] });
  if (begun.length === 0) return false;
  // What is destroyed from here on may have moved to the new version already, and is a reason for another one.
  const wanted = 'delete from rekeys_wanted where instance_uid = $1 and group_uid = $2';
  await tx.query({ name: 'store.rekeyBegun', text: wanted, values: keyOf(group) });
  return true;
};

export interface WantedGroup extends GroupKey {
  instance_id: string;
  group_id: string;
}

/** One group whose key is to be replaced and has been in use for so long; it is locked. */
export const lockWanted = async (tx: Queryable, afterSeconds: number): Promise<WantedGroup | undefined> => {
  const text = `select g.instance_uid, g.group_uid, i.instance_id, g.group_id
    from rekeys_wanted w join secret_groups g using (instance_uid, group_uid) join instances i using (instance_uid)
    left join rekeys r using (instance_uid, group_uid)
    where g.state = 'ACTIVE' and i.state = 'ACTIVE' and coalesce(r.state, 'DONE') = 'DONE'
      and coalesce(r.start_time, g.create_time) <= now() - make_interval(secs => $1)
    order by w.want_time limit 1 for update of g skip locked`;
  return (await tx.query<WantedGroup>({ name: 'store.lockWanted', text, values: [afterSeconds] }))[0];
};

/** The one that has been due for longest, and that nobody is at; it is locked. What is deleted waits. */
export const lockDue = async (tx: Queryable): Promise<RekeyRow | undefined> => {
  const text = `select ${COLUMNS} ${FROM} where r.state <> 'DONE' and r.due_time <= now() and g.state = 'ACTIVE' and i.state = 'ACTIVE'
    order by r.due_time limit 1 for update of r skip locked`;
  return (await tx.query<RekeyRow>({ name: 'store.lockDueRekey', text }))[0];
};

const change = async (tx: Queryable, name: string, set: string, group: GroupKey, values: unknown[] = []): Promise<void> => {
  const text = `update rekeys set ${set} where instance_uid = $1 and group_uid = $2`;
  await tx.query({ name: `store.${name}`, text, values: [...keyOf(group), ...values] });
};

/** Null: it has to be asked for again. */
export const recordOldVersion = (tx: Queryable, group: GroupKey, version: number | null): Promise<void> =>
  change(tx, 'recordOldVersion', `old_version = $3, due_time = now(), last_error = ''`, group, [version]);

/** It is used when everybody knows of it. */
export const recordNewVersion = (tx: Queryable, group: GroupKey, version: number, afterMs: number): Promise<void> =>
  change(tx, 'recordNewVersion', `new_version = $3, due_time = now() + make_interval(secs => $4::float8 / 1000), last_error = ''`, group, [
    version,
    afterMs,
  ]);

/** From the commit on nothing is taken that an older version has wrapped; who has looked at the group before has committed by then. */
export const useNewVersion = async (tx: Queryable, group: GroupKey, version: number): Promise<void> => {
  const fence = `update secret_groups set key_version = $3, revision = revision + 1, update_time = now() where instance_uid = $1 and group_uid = $2`;
  await tx.query({ name: 'store.useNewVersion', text: fence, values: [...keyOf(group), version] });
  const total = `coalesce((select sum(latest_version) from secrets s where s.instance_uid = $1 and s.group_uid = $2), 0)`;
  await change(tx, 'recordRewrapping', `state = 'REWRAPPING', total = ${total}, due_time = now(), last_error = ''`, group);
};

export interface Progress {
  secret_cursor: string;
  version_cursor: number;
  looked: number;
  stuck: number;
}

export const recordProgress = (tx: Queryable, group: GroupKey, p: Progress, error: string): Promise<void> =>
  change(
    tx,
    'recordRekeyProgress',
    `secret_cursor = $3, version_cursor = $4, done = done + $5, stuck = stuck + $6, due_time = now(),
      last_error = case when stuck + $6 = 0 then '' when $7 <> '' then $7 else last_error end`,
    group,
    [p.secret_cursor, p.version_cursor, p.looked, p.stuck, error],
  );

/** From the beginning again, after a while. */
export const passAgain = (tx: Queryable, group: GroupKey, afterMs: number): Promise<void> =>
  change(
    tx,
    'passAgain',
    `secret_cursor = '', version_cursor = 0, done = 0, stuck = 0, due_time = now() + make_interval(secs => $3::float8 / 1000)`,
    group,
    [afterMs],
  );

export const recordRewrapped = (tx: Queryable, group: GroupKey): Promise<void> =>
  change(tx, 'recordRewrapped', `state = 'DESTROYING', due_time = now(), last_error = ''`, group);

export const recordRekeyed = (tx: Queryable, group: GroupKey): Promise<void> =>
  change(tx, 'recordRekeyed', `state = 'DONE', end_time = now(), last_error = ''`, group);

export const recordRekeyFailure = (tx: Queryable, group: GroupKey, error: string, afterMs: number): Promise<void> =>
  change(tx, 'recordRekeyFailure', 'last_error = $3, due_time = now() + make_interval(secs => $4::float8 / 1000)', group, [error, afterMs]);
