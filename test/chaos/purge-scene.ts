// What crash tests of purges share: a stack of their own with gates, three things to purge, what must hold at every moment and
// at the end, and others that must not be touched.
import { expect, vi } from 'vitest';
import { startDatabase, startService } from '../../src/dev/parts.ts';
import { verifyReceipt } from '../../src/dev/receipt.ts';
import { spiffeIdOf, type Part, type Stack } from '../../src/dev/stack.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { end, startStack } from '../support/stack.ts';
import { bind, fresh, newTenant, text, type Tenant } from '../support/tenants.ts';
import { countsOf, fillTables, jobsOf, reaches, rowsOf, setRetention } from '../worker/purges.ts';
import { openGates, type Gates } from './purge-gates.ts';
import type { Kind } from './steps.ts';

export interface Doomed {
  kind: Kind;
  uid: string;
  tenant: Tenant;
  /** Scope keys, versions, secrets, groups. */
  counts: bigint[];
}

export interface Three {
  all: Doomed[];
  /** Of a purge below the instance, an hour before its time. */
  below: string;
}

export interface Scene extends AsyncDisposable {
  readonly stack: Stack;
  readonly gates: Gates;
  readonly operator: Clients;
  /** An instance with a purge below it, a group and a secret, deleted; the first two with more rows than fit one batch. */
  newDoomed(): Promise<Three>;
  /** Kills it, and starts it again. */
  kill(victim: Part): Promise<void>;
  /** Kills it, and leaves nothing of it at work. */
  end(victim: Part): Promise<void>;
  start(victim: Part): Promise<void>;
  /** What a sweep and the wait after a failure do within seconds, at once: how long they take is tested elsewhere. */
  hurry(all: readonly { uid: string }[]): Promise<void>;
  /** Resolves when all that a read needs has noticed that what was killed is back. */
  ready(): Promise<void>;
  /** What must hold at every moment, whatever is dead. */
  expectOrder(doomed: Doomed, where: string): Promise<void>;
  expectPurged(three: Three): Promise<void>;
  /** What was not to be purged is as it was: kept, undeleted, not due, or held. */
  expectUntouched(): Promise<void>;
}

interface Bystander {
  tenant: Tenant;
  /** Deleted, and not due for an hour. */
  asleep: string;
  /** Deleted, due, and held. */
  held: Tenant;
  /** A secret of a group that was undeleted, and would be due. */
  undeleted: string;
}

const newHeld = async (operator: Clients): Promise<Pick<Bystander, 'held' | 'undeleted'>> => {
  const held = await newTenant(operator, { retentionSeconds: 1 });
  await bind(operator, held.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
  await operator.secrets.createSecret({ parent: held.group, secretId: 'held', payload: text('held'), ...fresh() });
  const hold = Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' });
  await operator.holds.createHold({ parent: held.group, holdId: 'case', hold, ...fresh() });
  await operator.groups.deleteSecretGroup({ name: held.group, ...fresh() });
  const other = await operator.groups.createSecretGroup({ parent: held.instance, secretGroupId: 'undeleted', ...fresh() });
  const { name } = await operator.secrets.createSecret({ parent: other.name, secretId: 's', payload: text('undeleted'), ...fresh() });
  await operator.groups.deleteSecretGroup({ name: other.name, ...fresh() });
  await operator.groups.undeleteSecretGroup({ name: other.name, ...fresh() });
  await vi.waitFor(
    async () => {
      const { lastError } = await operator.purges.getPurge({ name: `purges/${held.groupUid}` });
      expect(lastError).toContain('held by');
    },
    { timeout: 15_000, interval: 50 },
  );
  return { held, undeleted: name };
};

const newBystander = async (operator: Clients): Promise<Bystander> => {
  const tenant = await newTenant(operator, { retentionSeconds: 3_600 });
  await bind(operator, tenant.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
  for (const secretId of ['kept', 'undeleted'])
    await operator.secrets.createSecret({ parent: tenant.group, secretId, payload: text(secretId), ...fresh() });
  await operator.secrets.deleteSecret({ name: `${tenant.group}/secrets/undeleted`, ...fresh() });
  await operator.secrets.undeleteSecret({ name: `${tenant.group}/secrets/undeleted`, ...fresh() });
  const asleep = await operator.groups.createSecretGroup({ parent: tenant.instance, secretGroupId: 'asleep', ...fresh() });
  await operator.groups.deleteSecretGroup({ name: asleep.name, ...fresh() });
  return { tenant, asleep: asleep.uid, ...(await newHeld(operator)) };
};

const expectBystander = async (stack: Stack, operator: Clients, { tenant, asleep, held, undeleted }: Bystander): Promise<void> => {
  const read = async (secret: string) => (await operator.access.accessSecretVersion({ name: `${secret}/versions/1` })).payload;
  for (const secretId of ['kept', 'undeleted']) expect(await read(`${tenant.group}/secrets/${secretId}`)).toEqual(text(secretId));
  expect(await read(undeleted)).toEqual(text('undeleted'));
  expect((await operator.purges.getPurge({ name: `purges/${asleep}` })).state).toBe(Purge_State.SCHEDULED);
  const waiting = { state: Purge_State.SCHEDULED, lastError: expect.stringContaining('held by') as string };
  expect(await operator.purges.getPurge({ name: `purges/${held.groupUid}` })).toMatchObject(waiting);
  expect(await rowsOf(stack, held.instanceUid)).toEqual([1, 2, 2, 2]);
};

const newDoomed = async (stack: Stack, operator: Clients): Promise<Three> => {
  const tenants = await Promise.all([1, 2, 3].map(() => newTenant(operator, { retentionSeconds: 3_600 })));
  const [whole, part, one] = tenants as [Tenant, Tenant, Tenant];
  const below = await operator.groups.createSecretGroup({ parent: whole.instance, secretGroupId: 'below', ...fresh() });
  const secret = await operator.secrets.createSecret({ parent: one.group, secretId: 'one', payload: text('one'), ...fresh() });
  await operator.secrets.addSecretVersion({ parent: secret.name, payload: text('two'), ...fresh() });
  await fillTables(stack, whole.groupUid, 300, 2);
  await fillTables(stack, below.uid, 10, 2);
  await fillTables(stack, part.groupUid, 300, 2);
  await bind(operator, whole.instance, spiffeIdOf('app2'), Role.READER);
  await bind(operator, part.group, spiffeIdOf('app2'), Role.READER);
  await operator.groups.deleteSecretGroup({ name: below.name, ...fresh() });
  await Promise.all(tenants.map(({ instance }) => setRetention(operator, instance, 1)));
  await operator.instances.deleteInstance({ name: whole.instance, ...fresh() });
  await operator.groups.deleteSecretGroup({ name: part.group, ...fresh() });
  await operator.secrets.deleteSecret({ name: secret.name, ...fresh() });
  return {
    below: below.uid,
    all: [
      { kind: 'INSTANCE', uid: whole.instanceUid, tenant: whole, counts: [2n, 620n, 310n, 2n] },
      { kind: 'GROUP', uid: part.groupUid, tenant: part, counts: [1n, 600n, 300n, 1n] },
      { kind: 'SECRET', uid: secret.uid, tenant: one, counts: [0n, 2n, 1n, 0n] },
    ],
  };
};

/** Past every service, because some of them are dead. */
const expectOrder = async (gates: Gates, { kind, uid, tenant, counts }: Doomed, where: string): Promise<void> => {
  const [rows] = await gates.sql<{ versions: number; readable: number }>(
    'store',
    `select count(*)::int as versions, count(wrapped_dek)::int as readable from secret_versions join secrets using (instance_uid, secret_uid)
      where instance_uid = $1 and ($2::uuid is null or secret_uid = $2)`,
    [tenant.instanceUid, kind === 'SECRET' ? uid : null],
  );
  const ofScopes = 'select count(wrapped_key)::int as alive from scope_versions join scopes using (scope_uid) where instance_uid = $1';
  const [keys] = await gates.sql<{ alive: number }>('keys', ofScopes, [tenant.instanceUid]);
  const ofLog = `select count(*)::int as begun from entries where correlation_id = $1 and convert_from(leaf, 'UTF8') ~ 'purge[.]start"'`;
  const [log] = await gates.sql<{ begun: number }>('audit', ofLog, [uid]);
  const [versions, readable, alive] = [rows?.versions ?? 0, rows?.readable ?? 0, keys?.alive ?? 0];
  if (versions < Number(counts[1]))
    expect(kind === 'SECRET' ? readable : alive, `${where}: ${kind} has lost rows while a key lives`).toBe(0);
  const begun = kind === 'SECRET' ? readable < versions : alive < (kind === 'INSTANCE' ? 2 : 1);
  if (begun) expect(log?.begun, `${where}: a key of ${kind} is gone, and the log does not know of the begin`).toBe(1);
};

export const openScene = async (): Promise<Scene> => {
  const own = await startStack();
  const { stack } = own;
  const [operator, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor')];
  const gates = await openGates(stack);
  const bystander = await newBystander(operator);

  const endPart = async (victim: Part): Promise<void> => {
    await end(stack, victim, 'SIGKILL');
    if (victim !== 'postgres') await gates.endBackendsOf(victim);
  };
  const start = async (victim: Part): Promise<void> => {
    if (victim === 'postgres') return startDatabase(stack);
    const refusal = await startService(stack, victim);
    if (refusal !== undefined) throw new Error(refusal);
  };

  const hurry = async (all: readonly { uid: string }[]): Promise<void> => {
    await gates.sql(
      'store',
      `with dead as (select distinct locked_by as pool from graphile_worker._private_jobs where locked_by is not null and not exists (
          select from pg_locks where locktype = 'advisory' and granted and (classid::bigint << 32 | objid::bigint) = hashtextextended(locked_by, 0)))
        select graphile_worker.force_unlock_workers(array[pool]) from dead`,
    );
    const nudge = 'update graphile_worker._private_jobs set run_at = now() where key = any($1) and locked_at is null and run_at > now()';
    await gates.sql('store', nudge, [all.map(({ uid }) => `purge:${uid}`)]);
  };

  const expectOne = async (uid: string, { all }: Three, verifierKey: string): Promise<void> => {
    await hurry(all);
    const purge = await reaches(operator, uid, Purge_State.DONE, 30_000);
    const doomed = all.find((each) => each.uid === uid);
    const actions = (await entriesOf(auditor, { correlationId: uid })).map(({ event }) => event?.action ?? '');
    const times = (verb: string): number => actions.filter((action) => action.endsWith(verb)).length;
    if (doomed) expect(countsOf(purge), purge.resource).toEqual(doomed.counts);
    if (doomed) expect(times('.purge.start'), purge.resource).toBe(1);
    expect(times('.purge'), purge.resource).toBe(1);
    const { leaf } = await auditor.auditLog.getEntry({ index: purge.auditIndex ?? -1n });
    expect(verifyReceipt(purge.receipt, leaf, verifierKey).index).toBe(purge.auditIndex);
    await expect.poll(() => jobsOf(stack, uid), { timeout: 15_000 }).toBe(0);
  };

  return {
    stack,
    gates,
    operator,
    hurry,
    newDoomed: () => newDoomed(stack, operator),
    end: endPart,
    start,
    kill: async (victim) => {
      await endPart(victim);
      await start(victim);
    },
    ready: async () => {
      const read = () => operator.access.accessSecretVersion({ name: `${bystander.undeleted}/versions/1` });
      await vi.waitFor(() => Promise.all([read(), operator.keys.getMasterKeyStatus({})]), { timeout: 15_000 });
    },
    expectOrder: (doomed, where) => expectOrder(gates, doomed, where),
    expectPurged: async (three) => {
      const { verifierKey } = await auditor.auditLog.getCheckpoint({});
      for (const uid of [...three.all.map((doomed) => doomed.uid), three.below]) await expectOne(uid, three, verifierKey);
      const [whole, part, one] = three.all.map(({ tenant }) => tenant) as [Tenant, Tenant, Tenant];
      expect(await rowsOf(stack, whole.instanceUid)).toEqual([0, 0, 0, 0]);
      expect(await rowsOf(stack, part.instanceUid)).toEqual([1, 0, 0, 0]);
      expect(await rowsOf(stack, one.instanceUid)).toEqual([1, 1, 0, 0]);
      const alive =
        'select count(wrapped_key)::int as alive from scope_versions join scopes using (scope_uid) where instance_uid = any($1)';
      expect(await gates.sql('keys', alive, [[whole.instanceUid, part.instanceUid]])).toEqual([{ alive: 0 }]);
      expect(await gates.sql('keys', 'select state from root_keys where owner = $1', [whole.instanceUid])).toEqual([
        { state: 'DESTROYED' },
      ]);
      await expectBystander(stack, operator, bystander);
    },
    expectUntouched: () => expectBystander(stack, operator, bystander),
    [Symbol.asyncDispose]: async () => {
      await gates[Symbol.asyncDispose]();
      for (const clients of [operator, auditor]) clients[Symbol.dispose]();
      await own[Symbol.asyncDispose]();
    },
  };
};
