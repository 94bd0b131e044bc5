// The auditor of an instance: bound in the secret store, known to the audit log from its own entries, and shown what belongs to
// his instance and nothing else. And what joins the entries of one call over all services.
import { randomBytes, randomUUID } from 'node:crypto';
import type { ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Event_Outcome, Event_Severity } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { entriesOf, entriesOfCall } from '../support/audit-log.ts';
import { clientsOf, decodeRefusal, refusalOf, type Clients } from '../support/clients.ts';
import { clientsAs, spiffe } from '../support/identities.ts';
import { logOf, withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, unbind, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const clients = { operator: clientsOf(stack, 'operator'), app: clientsOf(stack, 'app'), auditor: clientsOf(stack, 'auditor') };
const { operator, app, auditor } = clients;
const path = newId('inspector');
let inspector: Clients;
let tenant: Tenant;
let other: Tenant;
let secret: string;

/** What is bound in the store is known to the log within a second. */
const soon = <T>(work: () => Promise<T>): Promise<T> => vi.waitFor(work, { timeout: 1_000, interval: 20 });
const denied = (call: () => Promise<unknown>) => soon(async () => expect((await refusalOf(call())).code).toBe('PERMISSION_DENIED'));

beforeAll(async () => {
  [inspector, tenant, other] = [await clientsAs(stack, path), await newTenant(operator), await newTenant(operator)];
  await bind(operator, tenant.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  secret = (await app.secrets.createSecret({ parent: tenant.group, secretId: 's', payload: text('a value'), ...fresh() })).name;
});
afterAll(() => [...Object.values(clients), inspector].forEach((one) => one[Symbol.dispose]()));

describe('the auditor of an instance', () => {
  it('is nobody to the log before he is bound, reads within a second after, and is nobody again within a second after that', async () => {
    await denied(() => inspector.auditLog.listEntries({}));
    await bind(operator, tenant.instance, spiffe(path), Role.AUDITOR);
    await soon(() => inspector.auditLog.getCheckpoint({}));
    const stream = inspector.tailEntries({});
    await stream.next();
    await unbind(operator, tenant.instance, spiffe(path), Role.AUDITOR);
    await denied(() => inspector.auditLog.listEntries({}));
    // Also a stream that he has open ends.
    const start = performance.now();
    const end = await stream.next().then(
      () => undefined,
      (error: unknown) => decodeRefusal(error as ServiceError).code,
    );
    expect(end).toBe('PERMISSION_DENIED');
    expect(performance.now() - start).toBeLessThan(1_500);
    await bind(operator, tenant.instance, spiffe(path), Role.AUDITOR);
    await soon(() => inspector.auditLog.getCheckpoint({}));
  });

  it('sees all that is about his instance, denied calls too, and what the key service did for it, and nothing of another one', async () => {
    await refusalOf(app.groups.getSecretGroup({ name: other.group }));
    await refusalOf(app.instances.getInstance({ name: tenant.instance }));
    await app.access.accessSecretVersion({ name: `${secret}/versions/1` });
    const found = await entriesOf(inspector, {});
    expect(new Set(found.map(({ event }) => event?.instanceUid))).toEqual(new Set([tenant.instanceUid]));
    const actions = found.map(({ event }) => `${event?.action} ${event?.outcome}`);
    expect(actions).toEqual(
      expect.arrayContaining([
        `secrets.instance.create ${Event_Outcome.SUCCESS}`,
        `secrets.instance.read ${Event_Outcome.DENIED}`,
        `secrets.version.access ${Event_Outcome.SUCCESS}`,
        `keys.dek.unwrap ${Event_Outcome.SUCCESS}`,
        `keys.rootkey.create ${Event_Outcome.SUCCESS}`,
      ]),
    );
    const all = await entriesOf(auditor, { resource: tenant.instance });
    const ofThis = all.filter(({ event }) => event?.instanceUid === tenant.instanceUid);
    expect(found.map(({ index }) => index)).toEqual(expect.arrayContaining(ofThis.map(({ index }) => index)));
  });

  it('gets the receipts of his entries; those of others are not found, as if they were not there', async () => {
    const [mine] = (await inspector.auditLog.listEntries({ pageSize: 1 })).entries;
    const [theirs] = (await auditor.auditLog.listEntries({ pageSize: 1, resource: other.instance })).entries;
    expect((await inspector.auditLog.getInclusionProof({ index: mine!.index })).receipt).toContain(`index ${mine!.index}\n`);
    for (const index of [theirs!.index, 10n ** 15n]) {
      expect(await refusalOf(inspector.auditLog.getEntry({ index }))).toMatchObject({ code: 'NOT_FOUND', metadata: {} });
      expect(await refusalOf(inspector.auditLog.getInclusionProof({ index }))).toMatchObject({ code: 'NOT_FOUND' });
    }
  });

  it('is logged when he reads, and so is everybody who reads about his instance: he sees that too', async () => {
    const [his, theirs] = [randomUUID(), randomUUID()];
    await inspector.auditLog.listEntries({ instanceUid: tenant.instanceUid }, { metadata: { 'x-correlation-id': his } });
    await auditor.auditLog.listEntries({ instanceUid: tenant.instanceUid }, { metadata: { 'x-correlation-id': theirs } });
    for (const id of [his, theirs]) {
      const [entry] = await entriesOfCall(inspector, id);
      expect(entry?.event).toMatchObject({ action: 'audit.entry.list', instanceUid: tenant.instanceUid, readOnly: true });
    }
    const id = randomUUID();
    const stream = inspector.tailEntries({ instanceUid: tenant.instanceUid }, { metadata: { 'x-correlation-id': id } });
    await stream.next();
    await stream.return(undefined);
    const entries = await entriesOfCall(auditor, id, 2);
    expect(entries.map(({ event }) => event?.action)).toEqual(['audit.entry.tail', 'audit.entry.tail.end']);
  });

  it('is for an instance only: who reads the whole log is not for the secret store to say', async () => {
    for (const scope of ['system', tenant.group]) {
      const binding = { scope, principal: spiffe(path), role: Role.AUDITOR, createTime: undefined };
      expect(await refusalOf(operator.bindings.createBinding({ binding, ...fresh() }))).toMatchObject({ fields: ['binding.role'] });
    }
  });

  it('is found again in the log when the table of auditors is lost', async () => {
    await withDatabase(stack, 'audit', async (client) => {
      await client.query('begin; delete from auditors; update auditors_state set next_index = 0; commit');
    });
    expect((await inspector.auditLog.listEntries({ pageSize: 1 })).entries).toHaveLength(1);
    await unbind(operator, tenant.instance, spiffe(path), Role.AUDITOR);
    await denied(() => inspector.auditLog.listEntries({}));
  });
});

describe('the entries of one call', () => {
  it('have one correlation id and one trace id over all services, and tell which process made them', async () => {
    const [id, traceId] = [randomUUID(), randomBytes(16).toString('hex')];
    const metadata = { 'x-correlation-id': id, traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` };
    await app.access.accessSecretVersion({ name: `${secret}/versions/1` }, { metadata });
    const entries = await entriesOfCall(auditor, id, 2);
    expect(entries.map(({ source, event }) => [source, event?.action, event?.traceId])).toEqual([
      [spiffeIdOf('keys'), 'keys.dek.unwrap', traceId],
      [spiffeIdOf('store'), 'secrets.version.access', traceId],
    ]);
    const [unwrap, access] = entries.map(({ event }) => event!);
    expect(unwrap?.onBehalfOf).toBe(access?.principal);
    expect(access).toMatchObject({ dataEvent: true, readOnly: true, severity: Event_Severity.NORMAL });
    expect(access?.credentialId).toMatch(/^[0-9a-f]{64}$/);
    expect(access?.observer?.instance).not.toBe(unwrap?.observer?.instance);
    // And log lines: those of what was refused are always there.
    await refusalOf(app.instances.getInstance({ name: tenant.instance }, { metadata }));
    await vi.waitFor(() => expect(logOf(stack, 'store')).toContain(`"traceId":"${traceId}"`));
  });

  it('of a create join the root key that was made for it; a trace context that is none is left out', async () => {
    const id = randomUUID();
    const metadata = { 'x-correlation-id': id, traceparent: 'not-one' };
    await operator.instances.createInstance({ instanceId: newId('joined'), ...fresh() }, { metadata });
    const entries = await entriesOfCall(auditor, id, 2);
    expect(entries.map(({ event }) => `${event?.action} ${event?.traceId}`).sort()).toEqual([
      'keys.rootkey.create ',
      'secrets.instance.create ',
    ]);
  });

  it('of a purge: the delete names it, and under its uid are the begin, the keys that went, the end, and its receipt', async () => {
    const doomed = await newTenant(operator, { retentionSeconds: 1 });
    await bind(operator, doomed.instance, spiffe(path), Role.AUDITOR);
    await soon(() => inspector.auditLog.getCheckpoint({}));
    const id = randomUUID();
    await operator.instances.deleteInstance({ name: doomed.instance, ...fresh() }, { metadata: { 'x-correlation-id': id } });
    const [deletion] = await entriesOfCall(auditor, id);
    const purge = deletion?.event?.attributes.get('purge') ?? '';
    expect(deletion?.source).toBe(spiffeIdOf('store'));
    const entries = await entriesOfCall(auditor, purge.slice('purges/'.length), 5);
    expect(entries.map(({ source, event }) => [source, event?.action, event?.severity])).toEqual([
      [spiffeIdOf('worker'), 'secrets.instance.purge.start', Event_Severity.WARNING],
      [spiffeIdOf('keys'), 'keys.scope.destroy', Event_Severity.CRITICAL],
      [spiffeIdOf('keys'), 'keys.rootkey.destroy', Event_Severity.CRITICAL],
      [spiffeIdOf('worker'), 'secrets.instance.purge', Event_Severity.CRITICAL],
      [spiffeIdOf('audit'), 'audit.proof.read', Event_Severity.NORMAL],
    ]);
    // With the instance ends the right of its auditors.
    await denied(() => inspector.auditLog.listEntries({}));
  });
});
