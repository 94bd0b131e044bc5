// Purges by the thousand, and workers beside a stack's own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { configFileOf } from '../../src/dev/configs.ts';
import { HOST, ROOT, spiffeIdOf, type Stack } from '../../src/dev/stack.ts';
import { withDatabase } from '../support/stack.ts';
import { newId, type Tenant } from '../support/tenants.ts';

/** Groups with a scope key each, deleted and due two seconds from now: rows of the right shape, straight into the tables. */
export const loadGroups = async (stack: Stack, tenant: Pick<Tenant, 'instance' | 'instanceUid'>, count: number): Promise<string[]> => {
  const uids = await withDatabase(stack, 'store', async (client) => {
    const made = await client.query<{ group_uid: string }>(
      `insert into secret_groups (instance_uid, group_uid, group_id, state, delete_time, purge_time)
        select $1, gen_random_uuid(), 'due-' || i, 'DELETED', now(), now() + interval '2 seconds' from generate_series(1, $2::int) i returning group_uid`,
      [tenant.instanceUid, count],
    );
    return made.rows.map((row) => row.group_uid);
  });
  await withDatabase(stack, 'keys', (client) =>
    client.query(
      `with made as (insert into scopes (scope_uid, instance_uid, key_uid, service)
          select uid, $2, key_uid, $3 from unnest($1::uuid[]) uid, root_keys where owner = $2 returning scope_uid, key_uid)
        insert into scope_versions (scope_uid, version, key_uid, key_version, wrapped_key)
          select scope_uid, 1, key_uid, 1, decode(repeat('01', 113), 'hex') from made`,
      [uids, tenant.instanceUid, spiffeIdOf('store')],
    ),
  );
  await withDatabase(stack, 'store', (client) =>
    client.query(
      `select schedule_purge(group_uid, 'GROUP', instance_uid, group_uid, null, null, $2 || '/groups/' || group_id, now() + interval '2 seconds', 'spiffe://strongroom.internal/operator')
        from secret_groups where group_uid = any($1)`,
      [uids, tenant.instance],
    ),
  );
  return uids;
};

/** As a module that Node loads first: every look at the clock is so many milliseconds off. */
const shifted = (ms: number): string =>
  `data:text/javascript,${encodeURIComponent(`
    const Real = Date;
    globalThis.Date = class Date extends Real {
      constructor(...given) { if (given.length > 0) super(...given); else super(Real.now() + ${ms}); }
      static now() { return Real.now() + ${ms}; }
    };`)}`;

/** Another worker on the same jobs, with changes to its configuration, or with a wrong clock. */
export const startWorker = async (stack: Stack, change: Record<string, unknown> = {}, clockMs = 0): Promise<AsyncDisposable> => {
  const file = configFileOf(stack, 'worker');
  const name = newId('worker');
  const [config, log] = [join(dirname(file), `${name}.json`), join(stack.state, `${name}.log`)];
  writeFileSync(
    config,
    JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), listen: { host: HOST, port: 0 }, ...change }),
  );
  const out = openSync(log, 'a', 0o600);
  const first = clockMs === 0 ? [] : ['--import', shifted(clockMs)];
  const child = spawn(process.execPath, [...first, join(ROOT, 'src/main.ts'), 'worker', config], { stdio: ['ignore', out, out] });
  closeSync(out);
  const ended = once(child, 'exit');
  for (const until = Date.now() + 30_000; !readFileSync(log, 'utf8').includes('"msg":"running jobs"'); await sleep(50)) {
    if (child.exitCode === null && Date.now() < until) continue;
    child.kill('SIGKILL');
    throw new Error(`another worker did not start: ${readFileSync(log, 'utf8')}`);
  }
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await ended;
      rmSync(config);
    },
  };
};
