// Who does not get in, and what happens to calls that are no calls: on the real services, as a peer sees it.
import { status, type Client, type ServiceError } from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { afterAll, describe, expect, inject, it, vi } from 'vitest';
import { SOURCES } from '../../src/dev/audit-events.ts';
import { addressOf, SERVICES, spiffeIdOf, type Service } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { entriesOf, entriesOfCall } from '../support/audit-log.ts';
import { newAuthority } from '../support/certs.ts';
import { clientsOf, connectWith, materialOf, type Options } from '../support/clients.ts';
import { rpcs } from '../support/descriptors.ts';
import { materialFor, spiffe } from '../support/identities.ts';
import { callRaw, properRefusal } from '../support/refusals.ts';
import { logOf } from '../support/stack.ts';

const stack = inject('stack');
const auditor = clientsOf(stack, 'auditor');
const open: Client[] = [];
afterAll(() => {
  auditor[Symbol.dispose]();
  for (const client of open) client.close();
});

const connect = (service: Service, material: SecureContextOptions): Client => {
  const client = connectWith(addressOf(stack, service), material);
  open.push(client);
  return client;
};
const failure = (client: Client, path: string, bytes: Uint8Array = Buffer.alloc(0), options: Options = {}): Promise<ServiceError> =>
  callRaw(client, path, bytes, options).then(
    () => {
      throw new Error(`${path} should have been refused`);
    },
    (error: unknown) => error as ServiceError,
  );
const HEALTH = '/grpc.health.v1.Health/Check';
const SOME_RPC: Readonly<Record<Service, string>> = {
  store: '/strongroom.secrets.v1.InstanceService/ListInstances',
  keys: '/strongroom.keys.v1.EnvelopeService/GetScope',
  audit: '/strongroom.audit.v1.AuditService/ListEntries',
  worker: '/strongroom.worker.v1.Nothing/AtAll',
};

describe.each(SERVICES)('%s', (service) => {
  it.each([
    ['without a client certificate', async () => ({ ...materialOf(stack, 'operator'), cert: undefined, key: undefined })],
    [
      'with a certificate of another authority',
      async () => {
        const { cert, key } = await (await newAuthority('Strongroom development')).issue({ uris: [spiffeIdOf('operator')] });
        return { ...materialOf(stack, 'operator'), cert, key };
      },
    ],
    ['with an expired certificate', () => materialFor(stack, { uris: [spiffeIdOf('operator')], days: -1 / 86_400 })],
    ['with a certificate that is for servers only', () => materialFor(stack, { uris: [spiffeIdOf('operator')], usages: ['server'] })],
    ['with TLS 1.2', async () => ({ ...materialOf(stack, 'operator'), minVersion: 'TLSv1.2' as const, maxVersion: 'TLSv1.2' as const })],
  ])('lets nobody connect %s, and logs the attempt', async (_, material) => {
    const before = logOf(stack, service).split('a connection failed mutual TLS').length;
    const error = await failure(connect(service, await material()), HEALTH, undefined, { timeoutMs: 3_000 });
    // There was no call, so there is no error of ours: the client's library says that it has no connection.
    expect(status[error.code]).toBe('UNAVAILABLE');
    await vi.waitFor(() => expect(logOf(stack, service).split('a connection failed mutual TLS').length).toBeGreaterThan(before));
  });

  it.each([
    ['two URI names', { uris: [spiffeIdOf('operator'), spiffeIdOf('store')] }],
    ['the same URI name twice', { uris: [spiffeIdOf('operator'), spiffeIdOf('operator')] }],
    ['no URI name', { dns: ['operator'] }],
    ['a name of a foreign trust domain', { uris: ['spiffe://elsewhere.example/operator'] }],
    ['a trust domain that only begins like ours', { uris: ['spiffe://strongroom.internal.example/operator'] }],
    ['a URI that is no SPIFFE ID', { uris: ['https://strongroom.internal/operator'] }],
    ['a SPIFFE ID with a query', { uris: [`${spiffeIdOf('operator')}?as=root`] }],
  ])('takes nobody for somebody whose certificate has %s', async (_, subject) => {
    const id = randomUUID();
    const error = await failure(connect(service, await materialFor(stack, subject)), SOME_RPC[service], undefined, {
      metadata: { 'x-correlation-id': id },
    });
    expect(properRefusal(error)).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'IDENTITY_INVALID' });
    expect(await entriesOf(auditor, { correlationId: id })).toEqual([]);
  });

  it('knows nobody by a header that says who he is', async () => {
    const claims = {
      'x-forwarded-client-cert': `URI=${spiffeIdOf('operator')}`,
      'l5d-client-id': 'operator',
      'x-spiffe-id': spiffeIdOf('operator'),
    };
    const error = await failure(connect(service, await materialFor(stack, { uris: [spiffe('nobody')] })), SOME_RPC[service], undefined, {
      metadata: claims,
    });
    expect(['PERMISSION_DENIED', 'UNIMPLEMENTED']).toContain(properRefusal(error).code);
  });

  it('answers a method that is not there with UNIMPLEMENTED, and records who asked for it', async () => {
    const id = randomUUID();
    const path = '/strongroom.secrets.v1.SecretService/ReadEverything';
    const error = await failure(connect(service, materialOf(stack, 'app2')), path, undefined, { metadata: { 'x-correlation-id': id } });
    expect(properRefusal(error)).toMatchObject({ code: 'UNIMPLEMENTED', reason: 'UNIMPLEMENTED', metadata: { method: path } });
    const [entry] = await entriesOfCall(auditor, id);
    expect(entry).toMatchObject({ source: spiffeIdOf(service) });
    expect(entry?.event).toMatchObject({
      action: 'rpc.call.refuse',
      principal: spiffeIdOf('app2'),
      resource: path,
      outcome: Event_Outcome.FAILURE,
      code: 12,
      reason: 'UNIMPLEMENTED',
    });
  });
});

describe('every RPC', () => {
  /** Callers that may call everything, so that it is the message that stops them: the allowlists decide before. */
  const callerOf: Readonly<Record<string, Client>> = {
    store: connect('store', materialOf(stack, 'operator')),
    keys: connect('keys', materialOf(stack, 'store')),
    keyAdmin: connect('keys', materialOf(stack, 'operator')),
    audit: connect('audit', materialOf(stack, 'auditor')),
    'audit.v1.AuditWriterService/AppendEvents': connect('audit', materialOf(stack, 'store')),
    auditAdmin: connect('audit', materialOf(stack, 'operator')),
  };
  // Key rings and root keys are administered by people, scopes used by services.
  const administered = (name: string) => /keys\.v1\.(KeyRing|Key|KeyVersion|Grant|Import)Service/.test(name);
  const callerFor = (name: string, service: Service): string =>
    administered(name) ? 'keyAdmin' : name.includes('.AuditAdminService/') ? 'auditAdmin' : service;
  const all = rpcs().map(({ name, service }) => ({
    name,
    client: callerOf[name.replace('strongroom.', '')] ?? callerOf[callerFor(name, service)]!,
  }));

  const limits = new Map(
    SOURCES.flatMap(({ tables }) => tables).flatMap(({ definition, table }) =>
      Object.entries(table).map(([method, row]): [string, number] => [definition[method]!.path.slice(1), row.limits.requestBytes]),
    ),
  );
  const tooLarge = (name: string) => Buffer.alloc(limits.get(name)! + 1, 0x20);
  it.each([
    ['bytes that are no message', () => Buffer.of(0x0f), 'INVALID_ARGUMENT', 'MALFORMED_MESSAGE'],
    ['a message cut short', () => Buffer.of(0x0a, 0x05, 0x61), 'INVALID_ARGUMENT', 'MALFORMED_MESSAGE'],
    ['a message one byte over its limit', tooLarge, 'RESOURCE_EXHAUSTED', 'MESSAGE_TOO_LARGE'],
  ])('refuses %s, and records it', async (_, bytesFor, code, reason) => {
    for (const { name, client } of all) {
      const id = randomUUID();
      const error = await failure(client, `/${name}`, bytesFor(name), { metadata: { 'x-correlation-id': id } });
      expect(properRefusal(error), name).toMatchObject({ code, reason });
      // The log's own intake is the one RPC whose failures leave no entry: its entries are what it takes in.
      if (name.endsWith('/AppendEvents')) continue;
      const entries = await entriesOfCall(auditor, id);
      expect(
        entries.map(({ event }) => [event?.outcome, event?.reason]),
        name,
      ).toEqual([[Event_Outcome.FAILURE, reason]]);
    }
  });

  it('records a message over the limit of the gRPC library, which no step of ours has seen, under who sent it', async () => {
    const path = '/strongroom.secrets.v1.InstanceService/ListInstances';
    const error = await failure(connect('store', materialOf(stack, 'app2')), path, Buffer.alloc(9_000_000, 0x20));
    expect(status[error.code]).toBe('RESOURCE_EXHAUSTED');
    await vi.waitFor(async () => {
      const { entries } = await auditor.auditLog.listEntries({ action: 'rpc.call.refuse', principal: spiffeIdOf('app2'), resource: path });
      expect(entries[0]).toMatchObject({ source: spiffeIdOf('store'), event: { code: 8, reason: 'TOO_LARGE' } });
    });
  });

  it('answers an empty request with the field that is missing, or as a list of everything', async () => {
    const withoutArguments = [
      'ListInstances',
      'WhoAmI',
      'ListPurges',
      'ListKeyRings',
      'ListOwnGrants',
      'GetQueueStatus',
      'ListEntries',
      'GetEntry',
      'GetCheckpoint',
      'GetInclusionProof',
      'GetRetentionPolicy',
      'PruneEntries',
      'GetLogStatus',
      'GetConsistencyProof',
      'GetLogStatistics',
    ];
    for (const { name, client } of all) {
      // Not every stream ends, and what streams answer is tested where there is something.
      if (/\/(WatchKeyEvents|TailEntries|ExportLog)$/.test(name)) continue;
      if ([...withoutArguments, 'GetMasterKeyStatus'].includes(name.split('/')[1]!)) await callRaw(client, `/${name}`, Buffer.alloc(0));
      else {
        const refused = properRefusal(await failure(client, `/${name}`));
        expect(refused, name).toMatchObject({ code: 'INVALID_ARGUMENT', fields: [expect.any(String) as string] });
      }
    }
  });
});
