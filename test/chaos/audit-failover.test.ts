// Two processes of the audit log under a store and a key service that know both. The one that writes is killed under load: reads go
// on with the other one within five seconds, and the log has an entry for every read that was answered.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { addressOf, HOST, spiffeIdOf } from '../../src/dev/stack.ts';
import { HealthCheckResponse_ServingStatus as Health } from '../../src/gen/grpc/health/v1/health.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { event as newEvent } from '../integration/scratch-log.ts';
import { freePort } from '../kernel/harness.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { startReplica, type Replica } from '../support/replica.ts';
import { end, startStack } from '../support/stack.ts';
import { bind, fresh, newTenant, text } from '../support/tenants.ts';

const running = new AsyncDisposableStack();
let audit: Replica;
let [app, auditor, storeAtAudit]: Clients[] = [];
let name = '';
let kill: () => Promise<unknown>;
let startAnother: () => Promise<Replica>;

beforeAll(async () => {
  const { stack } = running.use(await startStack());
  const clientOf = (...[at, who]: Parameters<typeof clientsOf>) => running.use(clientsOf(at, who));
  const ports = [await freePort(), await freePort()];
  const address = [addressOf(stack, 'audit'), ...ports.map((port) => `${HOST}:${port}`)];
  const auditAt = async (port: number) =>
    running.use(await startReplica(stack, 'audit', { listen: { host: HOST, port }, replicas: address }));
  audit = await auditAt(ports[0]!);
  const peers = { audit: { address, spiffeId: spiffeIdOf('audit') } };
  const keys = running.use(await startReplica(stack, 'keys', peers));
  const store = running.use(
    await startReplica(stack, 'store', { ...peers, keys: { address: keys.address, spiffeId: spiffeIdOf('keys') } }),
  );

  const operator = clientOf(store.stack, 'operator');
  [app, auditor, storeAtAudit] = [clientOf(store.stack, 'app'), clientOf(audit.stack, 'auditor'), clientOf(audit.stack, 'store')];
  const tenant = await newTenant(operator);
  await bind(operator, tenant.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  const secret = await operator.secrets.createSecret({ parent: tenant.group, secretId: 's', payload: text('value'), ...fresh() });
  name = `${secret.name}/versions/1`;
  kill = () => end(stack, 'audit', 'SIGKILL');
  startAnother = () => auditAt(ports[1]!);
});
afterAll(() => running[Symbol.asyncDispose]());

const readsOf = (correlationIds: Iterable<string>) => [...correlationIds].toSorted();

describe('a standby of the audit log', () => {
  it('serves readers, and has the entry of that written by the one whose turn it is', async () => {
    expect(audit.log()).not.toContain('this process writes the log');
    expect((await auditor!.health.audit.check({ service: '' })).status).toBe(Health.SERVING);
    const id = randomUUID();
    const { treeSize } = await auditor!.auditLog.getCheckpoint({}, { metadata: { 'x-correlation-id': id } });
    const [entry] = await entriesOf(auditor!, { correlationId: id });
    expect(entry).toMatchObject({
      source: spiffeIdOf('audit'),
      event: { action: 'audit.checkpoint.read', principal: spiffeIdOf('auditor') },
    });
    expect(entry!.index).toBeGreaterThanOrEqual(treeSize);
  });

  it('takes no events, and says so', async () => {
    const refusal = await properRefusalOf(storeAtAudit!.auditWriter.appendEvents({ events: [newEvent()] }));
    expect(refusal).toMatchObject({ code: 'UNAVAILABLE', reason: 'AUDIT_STANDBY' });
  });
});

describe('when the one that writes is killed under load', () => {
  it('reads go on within five seconds, and each that was answered is in the log, of the store and of the key service', async () => {
    const answered = new Map<string, number>();
    const outcomes = new Map<string, number>();
    let going = true;
    const reader = async (): Promise<void> => {
      while (going) {
        const id = randomUUID();
        try {
          await app!.access.accessSecretVersion({ name }, { timeoutMs: 2_000, metadata: { 'x-correlation-id': id } });
          answered.set(id, performance.now());
        } catch (error) {
          const { reason } = await properRefusalOf(Promise.reject(error));
          outcomes.set(reason, (outcomes.get(reason) ?? 0) + 1);
        }
        await sleep(2);
      }
    };
    const work = Promise.all(Array.from({ length: 8 }, reader));
    await vi.waitFor(() => expect(answered.size).toBeGreaterThan(100), { timeout: 10_000 });
    await kill();
    const killed = performance.now();
    await vi.waitFor(() => expect([...answered.values()].some((at) => at > killed + 100)).toBe(true), { timeout: 15_000, interval: 10 });
    const first = Math.min(...[...answered.values()].filter((at) => at > killed + 100));
    expect(first - killed).toBeLessThan(5_000);
    const before = answered.size;
    await vi.waitFor(() => expect(answered.size).toBeGreaterThan(before + 100), { timeout: 10_000 });
    going = false;
    await work;
    for (const reason of outcomes.keys()) expect(['AUDIT_UNAVAILABLE', 'KEYS_UNAVAILABLE', 'DEADLINE_EXCEEDED']).toContain(reason);

    for (const action of ['secrets.version.access', 'keys.dek.unwrap']) {
      const told = new Set((await entriesOf(auditor!, { action })).map(({ event }) => event!.correlationId));
      expect(
        readsOf(answered.keys()).filter((id) => !told.has(id)),
        action,
      ).toEqual([]);
    }
  });

  it('another one that is started follows the one that writes now', async () => {
    const third = await startAnother();
    expect(third.log()).not.toContain('this process writes the log');
    using clients = clientsOf(third.stack, 'auditor');
    const [here, there] = [await auditor!.auditLog.getCheckpoint({}), await clients.auditLog.getCheckpoint({})];
    // Asking is an entry too.
    expect(there.treeSize).toBe(here.treeSize + 1n);
  });
});
