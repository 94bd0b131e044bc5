// The job queue (schema `graphile_worker`): who of its runners is alive, and what the dead have left. A runner holds an
// advisory lock for as long as its connection lives; a lock that can be taken is a dead runner's.
import type { Queryable } from '../../kernel/db.ts';

/** On a connection that stays open for as long as the runner does. A host that vanished is noticed within some 10 s. */
export const announceRunner = async (session: Queryable, poolId: string): Promise<void> => {
  const text = `select set_config('tcp_keepalives_idle', '4', false), set_config('tcp_keepalives_interval', '2', false),
    set_config('tcp_keepalives_count', '3', false), pg_advisory_lock(hashtextextended($1, 0))`;
  await session.query({ name: 'queue.announceRunner', text, values: [poolId] });
};

/** Frees the jobs of dead runners. The younger ones may be of a runner that has not announced itself yet. */
export const unlockDeadRunners = async (tx: Queryable): Promise<string[]> => {
  const text = `with locked as materialized (
      select distinct locked_by as pool_id from graphile_worker.jobs where locked_by is not null and locked_at < now() - interval '4 seconds'),
    dead as materialized (select pool_id from locked where pg_try_advisory_xact_lock(hashtextextended(pool_id, 0)))
    select pool_id, graphile_worker.force_unlock_workers(array[pool_id]) from dead`;
  return (await tx.query<{ pool_id: string }>({ name: 'queue.unlockDeadRunners', text })).map((row) => row.pool_id);
};

/** Jobs that were replaced while they ran and whose runner died then: nobody will run them. */
export const dropReplacedJobs = async (tx: Queryable, task: string): Promise<void> => {
  const text = `select graphile_worker.complete_jobs(array(
    select id from graphile_worker.jobs where task_identifier = $1 and key is null and attempts >= max_attempts and locked_at is null))`;
  await tx.query({ name: 'queue.dropReplacedJobs', text, values: [task] });
};
