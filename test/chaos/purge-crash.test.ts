// Crash points of a purge, every one of them: at each durable step of the purge of a group, an instance and a secret a process
// is killed (kill -9) right before the step is committed and right after, and started again. The ordinary run kills the
// worker at every point, and at every step one of the others in turn. STRONGROOM_CRASH=all kills every process at every point
// (some 10 minutes).
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabase, startService } from '../../src/dev/drill/scratch.ts';
import { verifyReceipt } from '../../src/dev/receipt.ts';
import { spiffeIdOf, type Part, type Stack } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { end, startStack, type TestStack } from '../support/stack.ts';
import { bind, fresh, newTenant, text, type Tenant } from '../support/tenants.ts';
import { countsOf, fillTables, jobsOf, reaches, rowsOf, setRetention } from '../worker/purges.ts';
import { openGates, STEPS, type Gates, type Kind, type Moment } from './purge-gates.ts';

const EVERYTHING = process.env['STRONGROOM_CRASH'] === 'all';
const OTHERS = ['keys', 'audit', 'postgres', 'store'] as const satisfies readonly Part[];

let own: TestStack;
let stack: Stack;
let gates: Gates;
let [operator, auditor]: Clients[] = [];
let bystander: Tenant;
let undeleted: string;
let asleep: { name: string; uid: string };

beforeAll(async () => {
  own = await startStack();
  ({ stack } = own);
  [operator, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor')];
  gates = await openGates(stack);
  bystander = await newTenant(operator, { retentionSeconds: 3_600 });
  await bind(operator, bystander.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
  for (const secretId of ['kept', 'undeleted'])
    await operator.secrets.createSecret({ parent: bystander.group, secretId, payload: text(secretId), ...fresh() });
  undeleted = `${bystander.group}/secrets/undeleted`;
  await operator.secrets.deleteSecret({ name: undeleted, ...fresh() });
  await operator.secrets.undeleteSecret({ name: undeleted, ...fresh() });
  asleep = await operator.groups.createSecretGroup({ parent: bystander.instance, secretGroupId: 'asleep', ...fresh() });
  await operator.groups.deleteSecretGroup({ name: asleep.name, ...fresh() });
});
afterAll(async () => {
  await gates[Symbol.asyncDispose]();
  for (const clients of [operator, auditor]) clients?.[Symbol.dispose]();
  await own[Symbol.asyncDispose]();
});

interface Doomed {
  kind: Kind;
  uid: string;
  tenant: Tenant;
  /** Scope keys, versions, secrets, groups. */
  counts: bigint[];
}

/** An instance with a purge below it that waits, a group and a secret, all with more rows than fit one batch but the last. */
const newDoomed = async (): Promise<{ all: Doomed[]; below: string }> => {
  const [whole, part, one] = await Promise.all([1, 2, 3].map(() => newTenant(operator!, { retentionSeconds: 3_600 })));
  if (!whole || !part || !one) throw new Error('a tenant is missing');
  const below = await operator!.groups.createSecretGroup({ parent: whole.instance, secretGroupId: 'below', ...fresh() });
  const secret = await operator!.secrets.createSecret({ parent: one.group, secretId: 'one', payload: text('one'), ...fresh() });
  await operator!.secrets.addSecretVersion({ parent: secret.name, payload: text('two'), ...fresh() });
  await Promise.all([
    fillTables(stack, whole.groupUid, 300, 2),
    fillTables(stack, below.uid, 10, 2),
    fillTables(stack, part.groupUid, 300, 2),
  ]);
  await bind(operator!, whole.instance, spiffeIdOf('app2'), Role.READER);
  await bind(operator!, part.group, spiffeIdOf('app2'), Role.READER);
  await operator!.groups.deleteSecretGroup({ name: below.name, ...fresh() });
  await Promise.all([whole, part, one].map(({ instance }) => setRetention(operator!, instance, 1)));
  await operator!.instances.deleteInstance({ name: whole.instance, ...fresh() });
  await operator!.groups.deleteSecretGroup({ name: part.group, ...fresh() });
  await operator!.secrets.deleteSecret({ name: secret.name, ...fresh() });
  return {
    below: below.uid,
    all: [
      { kind: 'INSTANCE', uid: whole.instanceUid, tenant: whole, counts: [2n, 620n, 310n, 2n] },
      { kind: 'GROUP', uid: part.groupUid, tenant: part, counts: [1n, 600n, 300n, 1n] },
      { kind: 'SECRET', uid: secret.uid, tenant: one, counts: [0n, 2n, 1n, 0n] },
    ],
  };
};

/** What must hold at every moment, whatever is dead: past every service, because some are. */
const expectOrder = async ({ kind, uid, tenant, counts }: Doomed, where: string): Promise<void> => {
  const rows = await gates.sql<{ versions: number; readable: number }>(
    'store',
    `select count(*)::int as versions, count(wrapped_dek)::int as readable from secret_versions join secrets using (instance_uid, secret_uid)
      where instance_uid = $1 and ($2::uuid is null or secret_uid = $2)`,
    [tenant.instanceUid, kind === 'SECRET' ? uid : null],
  );
  const [keys] = await gates.sql<{ alive: number }>('keys', 'select count(wrapped_key)::int as alive from scopes where instance_uid = $1', [
    tenant.instanceUid,
  ]);
  const [log] = await gates.sql<{ begun: number }>(
    'audit',
    `select count(*)::int as begun from entries where correlation_id = $1 and convert_from(leaf, 'UTF8') ~ 'purge[.]start"'`,
    [uid],
  );
  const { versions = 0, readable = 0 } = rows[0] ?? {};
  const openable = kind === 'SECRET' ? readable : (keys?.alive ?? 0);
  const scopes = kind === 'INSTANCE' ? 2 : 1;
  if (versions < Number(counts[1])) expect(openable, `${where}: ${kind} has lost rows while a key lives`).toBe(0);
  const begun = kind === 'SECRET' ? readable < versions : (keys?.alive ?? 0) < scopes;
  if (begun) expect(log?.begun, `${where}: a key of ${kind} is gone, and the log does not know of the begin`).toBe(1);
};

const kill = async (victim: Part): Promise<void> => {
  await end(stack, victim, 'SIGKILL');
  if (victim === 'postgres') await startDatabase(stack);
  else {
    await gates.endBackendsOf(victim);
    const refusal = await startService(stack, victim);
    if (refusal !== undefined) throw new Error(refusal);
  }
};

/** What a sweep and the wait after a failure do within seconds, at once: how long they take is tested elsewhere. */
const hurry = async (doomed: readonly Doomed[]): Promise<void> => {
  const keys = doomed.map(({ uid }) => `purge:${uid}`);
  await gates.sql(
    'store',
    `with dead as (select distinct locked_by as pool from graphile_worker._private_jobs where locked_by is not null and not exists (
        select from pg_locks where locktype = 'advisory' and granted and (classid::bigint << 32 | objid::bigint) = hashtextextended(locked_by, 0)))
      select graphile_worker.force_unlock_workers(array[pool]) from dead`,
  );
  await gates.sql(
    'store',
    'update graphile_worker._private_jobs set run_at = now() where key = any($1) and locked_at is null and run_at > now()',
    [keys],
  );
};

/** Stops all three purges at each step, before and after, and kills there whom `victimsAt` names. */
const purgeThrough = async (victimsAt: (step: number, moment: Moment) => readonly Part[]): Promise<void> => {
  await gates.shutAll();
  const { all, below } = await newDoomed();
  const kinds = all.map(({ kind }) => kind);
  for (const [at, step] of STEPS.entries()) {
    for (const moment of ['before', 'after'] as const) {
      const victims = victimsAt(at, moment);
      const where = `${moment} "${step.id}"`;
      if (moment === 'after') {
        if (victims.length > 0) await gates.shut(step, 'after');
        await gates.open(step, 'before');
      }
      for (const [i, victim] of victims.entries()) {
        // After a step that is committed nobody comes again.
        if (moment === 'before' || i === 0) await gates.arrival(step, moment, kinds, () => hurry(all));
        await kill(victim);
        for (const doomed of all) await expectOrder(doomed, `${where}, ${victim} killed`);
      }
      if (moment === 'after') await gates.open(step, 'after');
    }
  }
  await gates.openAll();
  await expectPurged(all, below);
};

const expectPurged = async (all: readonly Doomed[], below: string): Promise<void> => {
  const { verifierKey } = await auditor!.auditLog.getCheckpoint({});
  for (const uid of [...all.map((doomed) => doomed.uid), below]) {
    await hurry(all);
    const purge = await reaches(operator!, uid, Purge_State.DONE, 30_000);
    const counts = all.find((doomed) => doomed.uid === uid)?.counts;
    if (counts) expect(countsOf(purge), purge.resource).toEqual(counts);
    const actions = (await entriesOf(auditor!, { correlationId: uid })).map(({ event }) => event?.action ?? '');
    expect(
      actions.filter((action) => action.endsWith('.purge')),
      purge.resource,
    ).toHaveLength(1);
    if (counts)
      expect(
        actions.filter((action) => action.endsWith('.purge.start')),
        purge.resource,
      ).toHaveLength(1);
    const { leaf } = await auditor!.auditLog.getEntry({ index: purge.auditIndex ?? -1n });
    expect(verifyReceipt(purge.receipt, leaf, verifierKey).index).toBe(purge.auditIndex);
    await expect.poll(() => jobsOf(stack, uid), { timeout: 15_000 }).toBe(0);
  }
  const [whole, part, one] = all.map(({ tenant }) => tenant);
  expect(await rowsOf(stack, whole!.instanceUid)).toEqual([0, 0, 0, 0]);
  expect(await rowsOf(stack, part!.instanceUid)).toEqual([1, 0, 0, 0]);
  expect(await rowsOf(stack, one!.instanceUid)).toEqual([1, 1, 0, 0]);
  const alive = `select count(wrapped_key)::int as alive from scopes where instance_uid = any($1)`;
  expect(await gates.sql('keys', alive, [[whole!.instanceUid, part!.instanceUid]])).toEqual([{ alive: 0 }]);
  expect(await gates.sql('keys', 'select state from root_keys where owner = $1', [whole!.instanceUid])).toEqual([{ state: 'DESTROYED' }]);

  // What was not to be purged is as it was.
  for (const secretId of ['kept', 'undeleted']) {
    const read = await operator!.access.accessSecretVersion({ name: `${bystander.group}/secrets/${secretId}/versions/1` });
    expect(read.payload).toEqual(text(secretId));
  }
  expect((await operator!.purges.getPurge({ name: `purges/${asleep.uid}` })).state).toBe(Purge_State.SCHEDULED);
};

describe('the purges of an instance, a group and a secret end, with exact counts and one receipt each,', () => {
  it('when the worker is killed before and after every step', { timeout: 240_000 }, () => purgeThrough(() => ['worker']));

  it.runIf(!EVERYTHING)('when at every step one of the other processes is killed', { timeout: 240_000 }, () =>
    purgeThrough((step, moment) => {
      const at = STEPS[step]!;
      // The one whose step it is, before and after; PostgreSQL and the others in turn.
      if (at.database !== 'store') return [at.database];
      return moment === 'after' ? [OTHERS[step % OTHERS.length]!] : [];
    }),
  );

  it.runIf(EVERYTHING).each(OTHERS)('when %s is killed before and after every step', { timeout: 600_000 }, (victim) =>
    purgeThrough(() => [victim]),
  );
});
