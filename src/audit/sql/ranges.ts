// Tables `ranges` and `keeping`: the partitions of the log, and how long bodies are kept. Partitions are made and dropped by functions
// of the schema's owner, which know what must stay.
import type { Queryable } from '../../kernel/db.ts';

/** Makes partitions ahead of the log. */
export const makeRoom = async (db: Queryable): Promise<void> => {
  await db.query({ name: 'audit.makeRoom', text: 'select make_room()' });
};

/** Entries below have no body any more. */
export const selectPrunedBelow = async (db: Queryable): Promise<bigint> => {
  const text = 'select coalesce(max(end_index), 0) as below from ranges where prune_time is not null';
  return (await db.query<{ below: bigint }>({ name: 'audit.selectPrunedBelow', text }))[0]?.below ?? 0n;
};

export interface DueRange {
  start_index: bigint;
  end_index: bigint;
}

/** The oldest partition, if the policy lets it go. */
export const selectDueRange = async (db: Queryable): Promise<DueRange | undefined> => {
  const text = `select r.start_index, r.end_index from ranges r, keeping k, log_state s
    where r.start_index = (select min(start_index) from ranges where prune_time is null) and r.end_index <= s.size
    and (select record_time from entries where index = r.end_index - 1) < now() - make_interval(days => k.body_days)`;
  return (await db.query<DueRange>({ name: 'audit.selectDueRange', text }))[0];
};

/** False if another process has dropped it. */
export const dropRange = async (db: Queryable, start: bigint): Promise<boolean> =>
  (await db.query<{ dropped: boolean }>({ name: 'audit.dropRange', text: 'select drop_range($1) as dropped', values: [start] }))[0]!
    .dropped;

/** Answers how many ids of events it has forgotten. */
export const forgetEventIds = async (db: Queryable, most: number): Promise<bigint> =>
  (await db.query<{ n: bigint }>({ name: 'audit.forgetEventIds', text: 'select forget_event_ids($1) as n', values: [most] }))[0]!.n;

export interface PolicyRow {
  body_days: number | null;
  revision: bigint;
  update_time: Date;
}

export const selectPolicy = async (db: Queryable): Promise<PolicyRow> =>
  (await db.query<PolicyRow>({ name: 'audit.selectPolicy', text: 'select body_days, revision, update_time from keeping' }))[0]!;

/** Undefined if it is not at this revision any more. */
export const updatePolicy = async (db: Queryable, bodyDays: number | null, revision: bigint): Promise<PolicyRow | undefined> => {
  const text = `update keeping set body_days = $1, revision = revision + 1, update_time = now() where revision = $2
    returning body_days, revision, update_time`;
  return (await db.query<PolicyRow>({ name: 'audit.updatePolicy', text, values: [bodyDays, revision] }))[0];
};
