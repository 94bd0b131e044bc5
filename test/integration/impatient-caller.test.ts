// Callers that do not wait for their answer: the deadline passes or they hang up while the change is under way. A lock that
// the test holds in the database makes sure that it is.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { HOST, spiffeIdOf } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { CreateSecretGroupRequest } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { entriesOfCall } from '../support/audit-log.ts';
import { clientsOf, materialOf, refusalOf, type Options } from '../support/clients.ts';
import { withDatabase } from '../support/stack.ts';
import { newId, newTenant, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor')];
let tenant: Tenant;
beforeAll(async () => {
  tenant = await newTenant(operator);
});
afterAll(() => [operator, auditor].forEach((clients) => clients[Symbol.dispose]()));

/** While it runs, every change below the instance waits. */
const whileLocked = (work: () => Promise<void>): Promise<void> =>
  withDatabase(stack, 'store', async (owner) => {
    await owner.query('begin');
    await owner.query('select 1 from instances where instance_uid = $1 for update', [tenant.instanceUid]);
    await work();
    await owner.query('rollback');
  });

const newGroup = (request: { secretGroupId: string; requestId: string }, options: Options) =>
  operator.groups.createSecretGroup({ parent: tenant.instance, ...request }, options);
const call = () => ({ id: randomUUID(), request: { secretGroupId: newId('g'), requestId: randomUUID() } });
const header = (id: string) => ({ 'x-correlation-id': id });

/** What the store has recorded of a call that did not go well, once it has. */
const failureOf = (id: string) =>
  vi.waitFor(
    async () => {
      const told = (await entriesOfCall(auditor, id)).filter(
        ({ source, event }) => source === spiffeIdOf('store') && event?.outcome !== Event_Outcome.SUCCESS,
      );
      expect(told).toHaveLength(1);
      return [told[0]?.event?.code, told[0]?.event?.reason];
    },
    { timeout: 5_000, interval: 50 },
  );
const groupsNamed = async (secretGroupId: string) =>
  (await operator.groups.listSecretGroups({ parent: tenant.instance })).secretGroups.filter(({ name }) =>
    name.endsWith(`/${secretGroupId}`),
  );

const CREATE_GROUP = '/strongroom.secrets.v1.SecretGroupService/CreateSecretGroup';
/** The status of a call over bare HTTP/2: a well-behaved client would not send one whose deadline has passed. */
const postBare = async (headers: OutgoingHttpHeaders, request: Partial<CreateSecretGroupRequest>): Promise<string> => {
  const body = CreateSecretGroupRequest.encode(CreateSecretGroupRequest.fromPartial(request)).finish();
  const session = connectHttp2(`https://localhost:${stack.ports.store}`, { ...materialOf(stack, 'operator'), host: HOST });
  const stream = session.request({ ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers', ...headers });
  const length = Buffer.alloc(5);
  length.writeUInt32BE(body.length, 1);
  stream.end(Buffer.concat([length, body]));
  const [answer] = (await once(stream, 'response')) as [Record<string, string>];
  session.destroy();
  return answer['grpc-status'] ?? 'none';
};

describe('a change under way', () => {
  it('whose deadline passes answers DEADLINE_EXCEEDED in time, is recorded as that, and repeated with its request id is made once', async () => {
    const { id, request } = call();
    await whileLocked(async () => {
      const begun = performance.now();
      expect((await refusalOf(newGroup(request, { timeoutMs: 500, metadata: header(id) }))).code).toBe('DEADLINE_EXCEEDED');
      expect(performance.now() - begun).toBeLessThan(1_500);
      expect(await failureOf(id)).toEqual([4, 'DEADLINE_EXCEEDED']);
    });
    const made = await newGroup(request, {});
    expect(await groupsNamed(request.secretGroupId)).toEqual([made]);
    expect(await newGroup(request, {})).toEqual(made);
  });

  it('whose caller hangs up is recorded as CANCELLED, and repeated with its request id is made once', async () => {
    const { id, request } = call();
    await whileLocked(async () => {
      const controller = new AbortController();
      const refused = refusalOf(newGroup(request, { signal: controller.signal, metadata: header(id) }));
      // The scope's key is made before the change begins to wait.
      await entriesOfCall(auditor, id);
      controller.abort();
      expect((await refused).code).toBe('CANCELLED');
      expect(await failureOf(id)).toEqual([1, 'CANCELLED']);
    });
    const made = await newGroup(request, {});
    expect(await groupsNamed(request.secretGroupId)).toEqual([made]);
  });

  it('whose deadline had passed before it was looked at is answered and recorded, and changes nothing', async () => {
    const { id, request } = call();
    expect(await postBare({ ':path': CREATE_GROUP, 'grpc-timeout': '1n', ...header(id) }, { parent: tenant.instance, ...request })).toBe(
      '4',
    );
    expect(await failureOf(id)).toEqual([4, 'DEADLINE_EXCEEDED']);
    expect(await groupsNamed(request.secretGroupId)).toEqual([]);
  });
});
