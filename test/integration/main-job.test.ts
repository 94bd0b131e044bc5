// The main job: what a user of a secrets manager does with it, on a whole stack, over mutual TLS. Each test goes on
// where the one before it ended.
import { crc32c } from '@node-rs/crc32';
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { verifyReceipt } from '../../src/dev/receipt.ts';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Binding, Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance_State } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { SecretGroup_State } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { SecretVersion_State, type SecretPayload } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { clientsOf, refusalOf } from '../support/clients.ts';

const stack = inject('stack');
const [operator, app, app2, auditor] = [
  clientsOf(stack, 'operator'),
  clientsOf(stack, 'app'),
  clientsOf(stack, 'app2'),
  clientsOf(stack, 'auditor'),
];

const instanceId = `acme-${randomBytes(4).toString('hex')}`;
const group = `instances/${instanceId}/groups/payments`;
const secret = `${group}/secrets/db-password`;
const [first, second] = [randomBytes(24).toString('base64url'), randomBytes(24).toString('base64url')];
const request = () => ({ requestId: randomUUID() });

const payloadOf = (text: string): SecretPayload => ({ value: { $case: 'text', value: text }, crc32c: BigInt(crc32c(text) >>> 0) });
const read = async (version: string): Promise<SecretPayload | undefined> =>
  (await app.access.accessSecretVersion({ name: `${secret}/versions/${version}` })).payload;

describe('a secret, from its making to its end', () => {
  let groupUid = '';

  beforeAll(async () => {
    const instance = await operator.instances.createInstance({ instanceId, ...request() });
    expect(instance).toMatchObject({ name: `instances/${instanceId}`, state: Instance_State.ACTIVE });
    const made = await operator.groups.createSecretGroup({ parent: instance.name, secretGroupId: 'payments', ...request() });
    expect(made).toMatchObject({ name: group, state: SecretGroup_State.ACTIVE });
    groupUid = made.uid;
    for (const role of [Role.WRITER, Role.SECRETS_READER]) {
      await operator.bindings.createBinding({
        binding: Binding.fromPartial({ scope: group, principal: spiffeIdOf('app'), role }),
        ...request(),
      });
    }
  });
  afterAll(() => [operator, app, app2, auditor].forEach((clients) => clients[Symbol.dispose]()));

  it('is read as it was written, with its checksum', async () => {
    const made = await app.secrets.createSecret({ parent: group, secretId: 'db-password', payload: payloadOf(first), ...request() });
    expect(made).toMatchObject({ name: secret, latestVersion: 1 });
    expect(await read('latest')).toEqual(payloadOf(first));
  });

  it('keeps its old version when it is rotated', async () => {
    const version = await app.secrets.addSecretVersion({ parent: secret, payload: payloadOf(second), ...request() });
    expect(version).toMatchObject({ name: `${secret}/versions/2`, state: SecretVersion_State.ENABLED });
    expect(await read('latest')).toEqual(payloadOf(second));
    expect(await read('previous')).toEqual(payloadOf(first));
    expect(await read('1')).toEqual(payloadOf(first));
  });

  it('is refused to who has no binding, also to the operator, who administers and reads no payload', async () => {
    for (const stranger of [app2, operator]) {
      const refused = await refusalOf(stranger.access.accessSecretVersion({ name: `${secret}/versions/latest` }));
      expect(refused).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'PERMISSION_DENIED', domain: 'strongroom' });
    }
  });

  it('has every write, read and refusal in the audit log, in their order', async () => {
    // Entries of changes arrive through the outbox, a moment after the reply.
    await vi.waitFor(async () => {
      const { entries } = await auditor.auditLog.listEntries({ resource: secret, pageSize: 100 });
      const told = entries
        .toReversed()
        .filter(({ event }) => event?.action.startsWith('secrets.'))
        .map(({ event }) => [event?.action, event?.principal, event?.outcome]);
      const [byApp, byApp2, byOperator] = [spiffeIdOf('app'), spiffeIdOf('app2'), spiffeIdOf('operator')];
      const { SUCCESS, DENIED } = Event_Outcome;
      const access = 'secrets.version.access';
      expect(told.filter(([action]) => action === access)).toEqual([
        [access, byApp, SUCCESS],
        [access, byApp, SUCCESS],
        [access, byApp, SUCCESS],
        [access, byApp, SUCCESS],
        [access, byApp2, DENIED],
        [access, byOperator, DENIED],
      ]);
      expect(told).toContainEqual(['secrets.secret.create', byApp, SUCCESS]);
      expect(told).toContainEqual(['secrets.version.create', byApp, SUCCESS]);
    }, 5_000);
  });

  it('cannot be read from the moment its group is deleted', async () => {
    expect(await operator.groups.deleteSecretGroup({ name: group, ...request() })).toMatchObject({ state: SecretGroup_State.DELETED });
    expect(await refusalOf(read('latest'))).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'RESOURCE_DELETED' });
  });

  it('is gone after the purge, keys first, and a receipt proves it offline', async () => {
    const purge = await vi.waitFor(
      async () => {
        const now = await operator.purges.getPurge({ name: `purges/${groupUid}` });
        expect(now.state).toBe(Purge_State.DONE);
        return now;
      },
      { timeout: 30_000, interval: 100 },
    );
    expect(purge).toMatchObject({ resource: group, scopeKeysDestroyedCount: 1n, versionsRemovedCount: 2n, secretsRemovedCount: 1n });
    expect(purge.keysDestroyedTime!.getTime()).toBeLessThanOrEqual(purge.endTime!.getTime());
    await refusalOf(read('latest'));

    const entry = await auditor.auditLog.getEntry({ index: purge.auditIndex! });
    expect(entry.event?.principal).toBe(spiffeIdOf('worker'));
    const { verifierKey } = await auditor.auditLog.getCheckpoint({});
    expect(verifyReceipt(purge.receipt, entry.leaf, verifierKey).index).toBe(purge.auditIndex);
    const forged = Buffer.from(entry.leaf.toString('latin1').replace(instanceId, 'x'.repeat(instanceId.length)), 'latin1');
    expect(forged.equals(entry.leaf)).toBe(false);
    expect(() => verifyReceipt(purge.receipt, forged, verifierKey)).toThrow('not in the tree');
  });
});
