// Holds: what is held is not purged, nor what is above or below it; what is locked is not deleted either.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, refusalOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { bind, fresh, newTenant, text, type Tenant } from '../support/tenants.ts';
import { countsOf, jobsOf, reaches } from '../worker/purges.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const auditor = clientsOf(stack, 'auditor');
afterAll(() => [operator, auditor].forEach((clients) => clients[Symbol.dispose]()));

const { PURGE, DELETE } = Hold_Effect;
const { SCHEDULED, DONE } = Purge_State;
const { holds, purges, secrets, groups, instances } = operator;

const newHold = (parent: string, holdId = 'case-7', effect: Hold_Effect = PURGE) =>
  holds.createHold({ parent, holdId, hold: Hold.fromPartial({ effect, reason: 'a case in court' }), ...fresh() });
const lift = (name: string) => holds.deleteHold({ name, ...fresh() });
const newSecret = async (tenant: Tenant, secretId = 'kept') =>
  secrets.createSecret({ parent: tenant.group, secretId, payload: text('value'), ...fresh() });

/** What is deleted: the resource's name, and the uid of its purge. */
interface Target {
  name: string;
  uid: string;
}
type Level = 'instance' | 'group' | 'secret';
const LEVELS: readonly Level[] = ['instance', 'group', 'secret'];
const remove = (level: Level, name: string): Promise<unknown> => {
  if (level === 'secret') return secrets.deleteSecret({ name, ...fresh() });
  return level === 'group' ? groups.deleteSecretGroup({ name, ...fresh() }) : instances.deleteInstance({ name, ...fresh() });
};

const newTree = async (retentionSeconds = 1): Promise<Tenant & Record<'at', Record<Level, Target>>> => {
  const tenant = await newTenant(operator, { retentionSeconds });
  const secret = await newSecret(tenant);
  return {
    ...tenant,
    at: {
      instance: { name: tenant.instance, uid: tenant.instanceUid },
      group: { name: tenant.group, uid: tenant.groupUid },
      secret: { name: secret.name, uid: secret.uid },
    },
  };
};

/** When the purge is due and says that it is held. */
const isHeld = async (uid: string) => {
  for (const end = Date.now() + 15_000; ; await sleep(50)) {
    const purge = await purges.getPurge({ name: `purges/${uid}` });
    if (purge.lastError !== '' || purge.state !== SCHEDULED || Date.now() > end) return purge;
  }
};

describe('a hold', () => {
  it('has a name, a reason, who made it and when; is found and listed, and gone when it is deleted; the log tells of it', async () => {
    const tenant = await newTenant(operator);
    const made = await newHold(tenant.group, 'b');
    expect(made).toMatchObject({
      name: `${tenant.group}/holds/b`,
      effect: PURGE,
      reason: 'a case in court',
      createdBy: spiffeIdOf('operator'),
    });
    expect(made.createTime).toBeInstanceOf(Date);
    expect(await holds.getHold({ name: made.name })).toEqual(made);
    const [a, c] = [await newHold(tenant.group, 'a', DELETE), await newHold(tenant.group, 'c')];
    await newHold(tenant.instance, 'elsewhere');
    const page = await holds.listHolds({ parent: tenant.group, pageSize: 2 });
    expect(page.holds).toEqual([a, made]);
    expect(await holds.listHolds({ parent: tenant.group, pageSize: 2, pageToken: page.nextPageToken })).toEqual({
      holds: [c],
      nextPageToken: '',
    });
    await lift(made.name);
    expect(await properRefusalOf(holds.getHold({ name: made.name }))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await properRefusalOf(lift(made.name))).toMatchObject({ code: 'NOT_FOUND' });
    await expect
      .poll(async () => (await entriesOf(auditor, { resource: made.name })).map(({ event }) => event?.action), { timeout: 5_000 })
      .toEqual(expect.arrayContaining(['secrets.hold.create', 'secrets.hold.read', 'secrets.hold.delete']));
  });

  it('is refused without a reason, without an effect, twice, on what is not there, and with a bad name', async () => {
    const tenant = await newTenant(operator);
    await newHold(tenant.group);
    const hold = Hold.fromPartial({ effect: PURGE, reason: 'r' });
    const make = (request: object) =>
      properRefusalOf(holds.createHold({ parent: tenant.group, holdId: 'x', hold, ...fresh(), ...request }));
    expect(await make({ hold: { ...hold, reason: ' ' } })).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['hold.reason'] });
    expect(await make({ hold: { ...hold, effect: 0 } })).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['hold.effect'] });
    expect(await make({ hold: undefined })).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['hold'] });
    expect(await make({ holdId: 'Case 7' })).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['hold_id'] });
    expect(await make({ parent: `${tenant.group}/secrets/none` })).toMatchObject({ code: 'NOT_FOUND' });
    expect(await make({ parent: `${tenant.group}/versions/1` })).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['parent'] });
    expect(await make({ holdId: 'case-7' })).toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  for (const held of LEVELS)
    for (const deleted of LEVELS)
      it(`on the ${held} lets the ${deleted} be deleted and not be purged, which begins when the hold goes`, async () => {
        const tree = await newTree();
        const hold = await newHold(tree.at[held].name);
        const { name, uid } = tree.at[deleted];
        await remove(deleted, name);
        const waiting = await isHeld(uid);
        expect(waiting).toMatchObject({ state: SCHEDULED, holds: [hold.name] });
        expect(waiting.lastError).toBe(`held by ${hold.name}; it begins when the last hold is deleted`);
        await expect.poll(() => jobsOf(stack, uid)).toBe(0);
        await lift(hold.name);
        expect(countsOf(await reaches(operator, uid, DONE))).toEqual(
          { instance: [1n, 1n, 1n, 1n], group: [1n, 1n, 1n, 1n], secret: [0n, 1n, 1n, 0n] }[deleted],
        );
      });

  it('beside what is deleted does not stand against it', async () => {
    const tree = await newTree();
    const other = await groups.createSecretGroup({ parent: tree.instance, secretGroupId: 'other', ...fresh() });
    await newHold(other.name);
    const neighbour = await newSecret(tree, 'neighbour');
    await newHold(neighbour.name);
    await remove('secret', tree.at.secret.name);
    await reaches(operator, tree.at.secret.uid, DONE);
    await remove('group', other.name);
    expect(await isHeld(other.uid)).toMatchObject({ state: SCHEDULED, holds: [`${other.name}/holds/case-7`] });
  });

  it('is one of several: the last one counts, whatever the order', async () => {
    const tree = await newTree();
    const all = [await newHold(tree.instance, 'a'), await newHold(tree.group, 'b'), await newHold(tree.at.secret.name, 'c', DELETE)];
    // This one forbids the delete; it comes after.
    await lift(all[2]!.name);
    await remove('group', tree.group);
    all[2] = await newHold(tree.at.secret.name, 'c');
    expect((await isHeld(tree.groupUid)).holds).toEqual([all[1]!.name, all[2].name, all[0]!.name].toSorted());
    for (const { name } of [all[1]!, all[0]!]) {
      await lift(name);
      await sleep(500);
      expect(await isHeld(tree.groupUid)).toMatchObject({ state: SCHEDULED, holds: expect.arrayContaining([all[2].name]) });
    }
    await lift(all[2].name);
    await reaches(operator, tree.groupUid, DONE);
  });

  it('leaves the way back open: what is held and due can be undeleted, and is as it was', async () => {
    const tree = await newTree();
    await bind(operator, tree.group, spiffeIdOf('operator'), Role.SECRETS_READER);
    await newHold(tree.instance);
    await remove('group', tree.group);
    await isHeld(tree.groupUid);
    await groups.undeleteSecretGroup({ name: tree.group, ...fresh() });
    expect((await operator.access.accessSecretVersion({ name: `${tree.at.secret.name}/versions/1` })).payload).toEqual(text('value'));
    expect(await refusalOf(purges.getPurge({ name: `purges/${tree.groupUid}` }))).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('stands against the destruction of a version at once', async () => {
    const tree = await newTree();
    const hold = await newHold(tree.instance);
    const name = `${tree.at.secret.name}/versions/1`;
    expect(await properRefusalOf(secrets.destroySecretVersion({ name, ...fresh() }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'RESOURCE_HELD',
      metadata: { resource: name, hold: hold.name },
    });
    await lift(hold.name);
    await secrets.destroySecretVersion({ name, ...fresh() });
  });
});

describe('a hold comes late', () => {
  it('on something deleted, or below it, is in time as long as the purge has not begun', async () => {
    const tree = await newTree(3_600);
    await remove('instance', tree.instance);
    const made = await newHold(tree.at.secret.name);
    expect(await holds.getHold({ name: made.name })).toEqual(made);
    expect((await purges.getPurge({ name: `purges/${tree.instanceUid}` })).holds).toEqual([made.name]);
  });

  it('after the purge has begun it is refused', async () => {
    const tree = await newTree();
    await remove('group', tree.group);
    await reaches(operator, tree.groupUid, Purge_State.DESTROYING_KEYS);
    for (const at of [tree.group, tree.at.secret.name]) {
      const { reason } = await refusalOf(newHold(at));
      expect(['PURGE_STARTED', 'NOT_FOUND']).toContain(reason);
    }
  });
});

describe('a hold against the delete', () => {
  for (const locked of LEVELS)
    it(`on the ${locked} forbids the delete of it, of what is above and of what is below; the rest goes on`, async () => {
      const tree = await newTree(3_600);
      const lock = await newHold(tree.at[locked].name, 'lock', DELETE);
      for (const level of LEVELS) {
        expect(await properRefusalOf(remove(level, tree.at[level].name)), level).toMatchObject({
          code: 'FAILED_PRECONDITION',
          reason: 'RESOURCE_HELD',
          metadata: { resource: tree.at[level].name, hold: lock.name },
        });
      }
      const version = await secrets.addSecretVersion({ parent: tree.at.secret.name, payload: text('more'), ...fresh() });
      expect(await properRefusalOf(secrets.destroySecretVersion({ name: version.name, ...fresh() }))).toMatchObject({
        reason: 'RESOURCE_HELD',
      });
      const neighbour = await newSecret(tree, 'neighbour');
      if (locked === 'secret') await remove('secret', neighbour.name);
      await lift(lock.name);
      await remove('group', tree.group);
    });
});
