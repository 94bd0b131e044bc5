// Customers' root keys as they are administered: named, described, found, deleted with a wait, with two who agree, and destroyed.
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { KeyRing } from '../../src/gen/strongroom/keys/v1/key_ring_service.ts';
import { RootKey, RootKey_State } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import { entriesOf, sizeOf } from '../support/audit-log.ts';
import { clientsOf, refusalOf, type Clients } from '../support/clients.ts';
import { grantUse, newCustomer, newWrap, type Customer } from '../support/customer-keys.ts';
import { withDatabase } from '../support/stack.ts';
import { newId } from '../support/tenants.ts';

const { DISABLED, DESTROY_SCHEDULED, DESTROYED, ENABLED, EXPIRED } = RootKey_State;
const DAY = 86_400_000;
const stack = inject('stack');
let operator: Clients;
let store: Clients;
let auditor: Clients;
let customer: Customer;

beforeAll(async () => {
  [operator, store, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'store'), clientsOf(stack, 'auditor')];
  customer = await newCustomer(stack, operator);
  await grantUse(customer.manager, customer.ring);
});
afterAll(() => [operator, store, auditor, customer].forEach((one) => one[Symbol.dispose]()));

const get = (name: string) => customer.manager.keys.getRootKey({ name });
const update = (rootKey: Partial<RootKey>, updateMask?: string[]) =>
  customer.manager.keys.updateRootKey({ rootKey: RootKey.fromPartial(rootKey), ...(updateMask ? { updateMask } : {}) });
const days = (n: number) => ({ seconds: BigInt(n * 86_400), nanos: 0 });
const deleteIt = (name: string, as = customer.manager) => as.keys.deleteRootKey({ name });

describe('a key ring', () => {
  it('is created once, listed page by page, and updated by who has its etag', async () => {
    const keyRingId = newId('ring');
    const keyRing = KeyRing.fromPartial({
      displayName: 'Payments',
      description: 'of the payments team',
      labels: new Map([['env', 'prod']]),
    });
    const made = await operator.keyRings.createKeyRing({ keyRingId, keyRing });
    expect(await operator.keyRings.createKeyRing({ keyRingId, keyRing })).toEqual(made);
    expect((await refusalOf(operator.keyRings.createKeyRing({ keyRingId }))).code).toBe('ALREADY_EXISTS');
    const changed = await operator.keyRings.updateKeyRing({ keyRing: { ...made, displayName: 'Paying' }, updateMask: ['display_name'] });
    expect(changed).toMatchObject({ displayName: 'Paying', description: 'of the payments team' });
    expect(changed.etag).not.toBe(made.etag);
    expect((await refusalOf(operator.keyRings.updateKeyRing({ keyRing: made }))).reason).toBe('ETAG_MISMATCH');
    const names: string[] = [];
    for (let pageToken = ''; ;) {
      const page = await operator.keyRings.listKeyRings({ pageSize: 2, pageToken });
      names.push(...page.keyRings.map(({ name }) => name));
      if ((pageToken = page.nextPageToken) === '') break;
    }
    expect(names).toEqual([...new Set(names)].sort());
    expect(names).toEqual(expect.arrayContaining(['keyRings/provider', made.name]));
  });

  it('of the provider takes no customer’s key, and a customer’s no key with an owner', async () => {
    const create = (parent: string, owner: string) => operator.keys.createRootKey({ parent, rootKeyId: newId('key'), owner });
    expect((await refusalOf(create('keyRings/provider', ''))).fields).toEqual(['owner']);
    expect((await refusalOf(create(customer.ring, '00000000-0000-4000-8000-000000000000'))).code).toBe('PERMISSION_DENIED');
    expect((await refusalOf(create('keyRings/nowhere', ''))).code).toBe('NOT_FOUND');
  });
});

describe('a root key', () => {
  it('has what it was given, and what is changed of it and nothing else', async () => {
    const made = await customer.newKey({
      displayName: 'Main',
      description: 'for all',
      labels: new Map([['a', 'b']]),
      aliases: [newId('z'), newId('a')],
    });
    expect(made).toMatchObject({ state: ENABLED, primaryVersion: 1, owner: '', displayName: 'Main', description: 'for all' });
    expect(made.aliases).toEqual(made.aliases.toSorted());
    const changed = await update({ name: made.name, displayName: 'Other' });
    expect({ ...changed, displayName: 'Main', etag: made.etag, updateTime: made.updateTime }).toEqual(made);
    expect((await refusalOf(update({ ...made, displayName: 'x' }))).reason).toBe('ETAG_MISMATCH');
    expect((await refusalOf(update({ name: made.name }, ['state']))).reason).toBe('UNKNOWN_MASK_PATH');
    expect(await update({ name: made.name }, ['*'])).toMatchObject({ displayName: '', description: '', aliases: [] });
  });

  it('is found by its aliases, which no other key of its ring can have, as long as it has them', async () => {
    const alias = newId('alias');
    const [one, two] = [await customer.newKey({ aliases: [alias] }), await customer.newKey()];
    expect((await get(`${customer.ring}/keys/${alias}`)).name).toBe(one.name);
    const id = one.name.slice(`${customer.ring}/keys/`.length);
    for (const taken of [alias, id])
      expect((await refusalOf(update({ name: two.name, aliases: [taken] }))).code, taken).toBe('ALREADY_EXISTS');
    expect((await refusalOf(customer.newKey({}, alias))).code).toBe('ALREADY_EXISTS');
    expect((await refusalOf(customer.newKey({ aliases: [alias] }))).code).toBe('ALREADY_EXISTS');
    await update({ name: one.name }, ['aliases']);
    await update({ name: two.name, aliases: [alias] });
    expect((await get(`${customer.ring}/keys/${alias}`)).name).toBe(two.name);
    expect((await refusalOf(update({ name: one.name, aliases: ['a', 'b', 'c', 'd', 'e', 'f'] }))).fields).toEqual(['root_key.aliases']);
  });

  it('expires at its time: what it protects can be read, and nothing new be protected', async () => {
    const { name } = await customer.newKey({ expireTime: new Date(Date.now() + 1_200) });
    const { scope, context, wrappedDek } = await newWrap(store, name);
    await vi.waitFor(async () => expect((await get(name)).state).toBe(EXPIRED), 3_000);
    expect((await store.envelopes.unwrapDek({ scope, context, wrappedDek })).dek).toHaveLength(32);
    expect((await refusalOf(store.envelopes.generateDek({ scope, context }))).reason).toBe('KEY_EXPIRED');
    expect((await refusalOf(newWrap(store, name))).reason).toBe('KEY_EXPIRED');
    expect((await refusalOf(customer.newKey({ expireTime: new Date(Date.now() - 1) }))).fields).toEqual(['root_key.expire_time']);
  });

  it('is listed by its ring, destroyed ones on request', async () => {
    using other = await newCustomer(stack, operator);
    const [one, two] = [await other.newKey({}, 'one'), await other.newKey({}, 'two')];
    await deleteIt(two.name, other.manager);
    await other.purger.keys.destroyRootKey({ name: two.name });
    const list = async (showDestroyed: boolean) =>
      (await other.manager.keys.listRootKeys({ parent: other.ring, showDestroyed })).rootKeys.map(({ name }) => name);
    expect(await list(false)).toEqual([one.name]);
    expect(await list(true)).toEqual([one.name, two.name]);
    expect(await refusalOf(other.newKey({}, 'two'))).toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining('was destroyed'),
    });
  });
});

describe('a deletion', () => {
  it('waits for seven days unless told otherwise, from one to ninety', async () => {
    const { name } = await customer.newKey();
    const { deleteTime, purgeTime, state } = await deleteIt(name);
    expect(state).toBe(DESTROY_SCHEDULED);
    expect(purgeTime!.getTime() - deleteTime!.getTime()).toBe(7 * DAY);
    expect((await customer.manager.keys.restoreRootKey({ name })).state).toBe(DISABLED);
    const again = await customer.manager.keys.deleteRootKey({ name, wait: days(90) });
    expect(again.purgeTime!.getTime() - again.deleteTime!.getTime()).toBe(90 * DAY);
    const { name: other } = await customer.newKey();
    for (const wait of [days(0), days(91), { seconds: 86_400n, nanos: 1 }])
      expect((await refusalOf(customer.manager.keys.deleteRootKey({ name: other, wait }))).fields).toEqual(['wait']);
  });

  it('ends in destruction at its time, by itself, and the log has it', async () => {
    const { name, uid } = await customer.newKey();
    const begin = await sizeOf(auditor);
    await deleteIt(name);
    await withDatabase(stack, 'keys', (owner) => owner.query('update root_keys set purge_time = now() where key_uid = $1', [uid]));
    // Any deletion wakes the service; by itself it looks at the next purge_time that it knows of.
    await deleteIt((await customer.newKey()).name);
    await vi.waitFor(async () => expect((await get(name)).state).toBe(DESTROYED), 3_000);
    await vi.waitFor(async () => {
      const entries = await entriesOf(auditor, { action: 'keys.rootkey.destroy' }, begin);
      expect(entries.map(({ event }) => event!.attributes.get('key'))).toContain(uid);
    }, 3_000);
  });

  it('of a key that is used needs force and a reason, which is recorded', async () => {
    const { name } = await customer.newKey();
    const { scope, context, wrappedDek } = await newWrap(store, name);
    const begin = await sizeOf(auditor);
    expect((await refusalOf(deleteIt(name))).reason).toBe('KEY_IN_USE');
    expect((await refusalOf(customer.manager.keys.deleteRootKey({ name, force: true, reason: ' ' }))).fields).toEqual(['reason']);
    await customer.manager.keys.deleteRootKey({ name, force: true, reason: 'the key has leaked' });
    expect((await refusalOf(store.envelopes.unwrapDek({ scope, context, wrappedDek }))).reason).toBe('KEY_DESTROY_SCHEDULED');
    await vi.waitFor(async () => {
      const [entry] = (await entriesOf(auditor, { action: 'keys.rootkey.delete' }, begin))
        .map(({ event }) => event!)
        .filter((e) => e.resource === name && e.reason === '');
      expect(entry?.attributes.get('reason')).toBe('the key has leaked');
      expect(entry?.attributes.get('force')).toBe('true');
    }, 3_000);
    await customer.purger.keys.destroyRootKey({ name });
    expect((await refusalOf(store.envelopes.unwrapDek({ scope, context, wrappedDek }))).reason).toBe('KEY_DESTROYED');
    // Registrations outlive their key, so that what is left can be cleaned up.
    expect((await store.envelopes.destroyScope({ name: scope })).name).toBe(scope);
  });

  it('of a provider-managed key is refused: it ends with its instance', async () => {
    const owner = crypto.randomUUID();
    const { name } = await store.keys.createRootKey({ parent: 'keyRings/provider', rootKeyId: owner, owner });
    expect((await refusalOf(operator.keys.deleteRootKey({ name }))).reason).toBe('PROVIDER_MANAGED');
  });

  it('before its time is for the Purger alone, and only of what was deleted', async () => {
    const { name } = await customer.newKey();
    expect((await refusalOf(customer.purger.keys.destroyRootKey({ name }))).reason).toBe('KEY_ENABLED');
    await deleteIt(name);
    expect((await refusalOf(customer.manager.keys.destroyRootKey({ name }))).code).toBe('PERMISSION_DENIED');
    expect((await customer.purger.keys.destroyRootKey({ name })).state).toBe(DESTROYED);
    expect((await customer.purger.keys.destroyRootKey({ name })).state).toBe(DESTROYED);
  });
});

describe('dual authorization', () => {
  it('needs two: one who approves, and another who deletes', async () => {
    const { name } = await customer.newKey({ dualAuthorization: true });
    expect((await refusalOf(deleteIt(name))).reason).toBe('APPROVAL_REQUIRED');
    const { deletionApproval } = await customer.manager.keys.approveRootKeyDeletion({ name });
    expect(deletionApproval).toMatchObject({ principal: customer.managerId });
    expect(deletionApproval!.expireTime!.getTime() - deletionApproval!.createTime!.getTime()).toBe(7 * DAY);
    expect(await refusalOf(deleteIt(name))).toMatchObject({
      reason: 'APPROVAL_REQUIRED',
      message: expect.stringContaining('another Manager'),
    });
    for (const again of [customer.manager, customer.other])
      expect((await refusalOf(again.keys.approveRootKeyDeletion({ name }))).reason).toBe('ALREADY_APPROVED');
    expect((await deleteIt(name, customer.other)).state).toBe(DESTROY_SCHEDULED);
  });

  it('is of no use any more once it is withdrawn, has lapsed, or the key was restored; the policy stays', async () => {
    const { name, uid } = await customer.newKey({ dualAuthorization: true });
    const approve = () => customer.manager.keys.approveRootKeyDeletion({ name });
    await approve();
    await customer.other.keys.withdrawRootKeyDeletionApproval({ name });
    expect((await refusalOf(deleteIt(name, customer.other))).reason).toBe('APPROVAL_REQUIRED');

    await approve();
    await withDatabase(stack, 'keys', (owner) =>
      owner.query(`update root_keys set approve_time = now() - interval '7 days 1 second' where key_uid = $1`, [uid]),
    );
    expect((await get(name)).deletionApproval).toBeUndefined();
    expect((await refusalOf(deleteIt(name, customer.other))).reason).toBe('APPROVAL_REQUIRED');
    expect((await get(name)).dualAuthorization).toBe(true);

    await approve();
    await deleteIt(name, customer.other);
    await customer.manager.keys.restoreRootKey({ name });
    expect((await refusalOf(deleteIt(name, customer.other))).reason).toBe('APPROVAL_REQUIRED');
  });

  it('once set stays set, and a key without it takes no approval', async () => {
    const { name } = await customer.newKey();
    expect((await refusalOf(customer.manager.keys.approveRootKeyDeletion({ name }))).reason).toBe('DUAL_AUTHORIZATION_OFF');
    await update({ name, dualAuthorization: true });
    expect((await refusalOf(update({ name, dualAuthorization: false }, ['dual_authorization']))).fields).toEqual([
      'root_key.dual_authorization',
    ]);
  });
});
