// Early purges: by a Purger only, never under protection or a hold; and an undelete that comes at the same moment.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { Instance, RetentionPolicy } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { Secret_State } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, refusalOf, type Clients } from '../support/clients.ts';
import { clientsAs, spiffe } from '../support/identities.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';
import { countsOf, reaches } from '../worker/purges.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const auditor = clientsOf(stack, 'auditor');
const path = newId('purger');
let purger: Clients;
beforeAll(async () => {
  purger = await clientsAs(stack, path);
});
afterAll(() => [operator, auditor, purger].forEach((clients) => clients[Symbol.dispose]()));

const { instances, groups, secrets, holds } = operator;
const { DONE, SCHEDULED } = Purge_State;

/** Where nothing is due for an hour, with a Purger on the instance. */
const newGuarded = async (): Promise<Tenant> => {
  const tenant = await newTenant(operator, { retentionSeconds: 3_600 });
  await bind(operator, tenant.instance, spiffe(path), Role.PURGER);
  return tenant;
};
const newSecret = (tenant: Tenant, secretId = newId('s')) =>
  secrets.createSecret({ parent: tenant.group, secretId, payload: text('value'), ...fresh() });
const newDeleted = async (tenant: Tenant) => secrets.deleteSecret({ name: (await newSecret(tenant)).name, ...fresh() });
const expedite = (resource: string, as = purger) => as.purges.expeditePurge({ resource, ...fresh() });

describe('an early purge', () => {
  it('of every kind begins at once, and is recorded as what it is', async () => {
    const tenant = await newGuarded();
    const retentionPolicy = RetentionPolicy.fromPartial({ version: { seconds: 3_600n } });
    await instances.updateInstance({ instance: Instance.fromPartial({ name: tenant.instance, retentionPolicy }), ...fresh() });
    const [spent, secret] = [await newSecret(tenant), await newSecret(tenant)];
    const version = `${spent.name}/versions/1`;
    const steps: [string, () => Promise<unknown>, bigint[]][] = [
      [version, () => secrets.destroySecretVersion({ name: version, ...fresh() }), [0n, 0n, 0n, 0n]],
      [secret.name, () => secrets.deleteSecret({ name: secret.name, ...fresh() }), [0n, 1n, 1n, 0n]],
      [tenant.group, () => groups.deleteSecretGroup({ name: tenant.group, ...fresh() }), [1n, 1n, 1n, 1n]],
      [tenant.instance, () => instances.deleteInstance({ name: tenant.instance, ...fresh() }), [0n, 0n, 0n, 0n]],
    ];
    for (const [resource, remove, counts] of steps) {
      await remove();
      const purge = await expedite(resource);
      expect(purge).toMatchObject({ resource, state: SCHEDULED, deletedBy: spiffeIdOf('operator') });
      expect(purge.purgeTime!.getTime()).toBeLessThan(Date.now() + 1_000);
      const done = await reaches(operator, purge.name.split('/')[1]!, DONE, 15_000);
      expect(countsOf(done), resource).toEqual(counts);
      const told = (await entriesOf(auditor, { resource })).map(({ event }) => event!);
      expect(told.find(({ action }) => action === 'secrets.purge.expedite')).toMatchObject({
        principal: spiffe(path),
        outcome: Event_Outcome.SUCCESS,
        instanceUid: tenant.instanceUid,
      });
    }
  });

  it('is for a Purger of the resource: no administrator, no manager, no Purger of another instance', async () => {
    const [tenant, other] = [await newGuarded(), await newTenant(operator)];
    const deleted = await newDeleted(tenant);
    await bind(operator, tenant.instance, spiffeIdOf('app'), Role.MANAGER, Role.WRITER, Role.SECRETS_READER);
    await bind(operator, other.instance, spiffeIdOf('app2'), Role.PURGER);
    for (const name of ['operator', 'app', 'app2'] as const) {
      using as = clientsOf(stack, name);
      expect(await properRefusalOf(expedite(deleted.name, as)), name).toMatchObject({ code: 'PERMISSION_DENIED' });
    }
    expect(await operator.purges.getPurge({ name: `purges/${deleted.uid}` })).toMatchObject({
      state: SCHEDULED,
      purgeTime: deleted.purgeTime,
    });
    // And a Purger does nothing else.
    expect(await properRefusalOf(purger.secrets.getSecret({ name: deleted.name }))).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(await properRefusalOf(purger.secrets.deleteSecret({ name: deleted.name, ...fresh() }))).toMatchObject({
      code: 'PERMISSION_DENIED',
    });
  });

  it('is refused of what is not deleted, of what is not there, and of an alias', async () => {
    const tenant = await newGuarded();
    const { name } = await newSecret(tenant);
    for (const resource of [name, `${name}/versions/1`, tenant.group, tenant.instance])
      expect(await properRefusalOf(expedite(resource)), resource).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'NOT_DELETED' });
    for (const resource of [`${tenant.group}/secrets/none`, `${name}/versions/7`, `${tenant.instance}/groups/none`])
      expect(await properRefusalOf(expedite(resource)), resource).toMatchObject({ code: 'NOT_FOUND' });
    for (const resource of [`${name}/versions/latest`, 'purges/x', ''])
      expect(await properRefusalOf(expedite(resource)), resource).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['resource'] });
  });

  it('is refused under purge protection, and while a hold stands against it', async () => {
    const tenant = await newGuarded();
    const deleted = await newDeleted(tenant);
    const hold = Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' });
    const { name } = await holds.createHold({ parent: tenant.instance, holdId: 'case', hold, ...fresh() });
    expect(await properRefusalOf(expedite(deleted.name))).toMatchObject({ reason: 'RESOURCE_HELD', metadata: { hold: name } });
    await holds.deleteHold({ name, ...fresh() });
    await instances.updateInstance({ instance: Instance.fromPartial({ name: tenant.instance, purgeProtection: true }), ...fresh() });
    expect(await properRefusalOf(expedite(deleted.name))).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'PURGE_PROTECTED' });
    expect((await operator.purges.getPurge({ name: `purges/${deleted.uid}` })).purgeTime).toEqual(deleted.purgeTime);
    await secrets.undeleteSecret({ name: deleted.name, ...fresh() });
  });
});

describe('an undelete at the moment in which the purge begins', () => {
  it('brings everything back, or is refused, and nothing in between', { timeout: 180_000 }, async () => {
    const tenant = await newGuarded();
    await bind(operator, tenant.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
    const outcomes = { back: 0, gone: 0 };
    const round = async (i: number): Promise<void> => {
      const { name, uid } = await newDeleted(tenant);
      await expedite(name);
      await sleep((i % 10) * 3);
      const restored = await secrets.undeleteSecret({ name, ...fresh() }).then(
        () => true,
        () => false,
      );
      if (restored) {
        expect((await operator.access.accessSecretVersion({ name: `${name}/versions/1` })).payload).toEqual(text('value'));
        await sleep(1_000);
        expect((await operator.access.accessSecretVersion({ name: `${name}/versions/1` })).payload).toEqual(text('value'));
        expect(await secrets.getSecret({ name })).toMatchObject({ uid, state: Secret_State.ACTIVE });
        expect(await refusalOf(operator.purges.getPurge({ name: `purges/${uid}` }))).toMatchObject({ code: 'NOT_FOUND' });
        outcomes.back++;
      } else {
        const { reason } = await refusalOf(operator.access.accessSecretVersion({ name: `${name}/versions/1` }));
        expect(['PURGE_STARTED', 'NOT_FOUND']).toContain(reason);
        expect(countsOf(await reaches(operator, uid, DONE))).toEqual([0n, 1n, 1n, 0n]);
        outcomes.gone++;
      }
    };
    for (let i = 0; i < 50; i += 10) await Promise.all(Array.from({ length: 10 }, (_, k) => round(i + k)));
    expect(outcomes.back + outcomes.gone).toBe(50);
    expect(outcomes.back).toBeGreaterThan(0);
    expect(outcomes.gone).toBeGreaterThan(0);
  });
});
