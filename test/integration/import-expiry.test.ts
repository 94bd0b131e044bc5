// Imported material that expires: of no use from that moment on, in every replica, cached or not; and all is as before when
// the same material is brought back.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { RootKeyRotation_State } from '../../src/gen/strongroom/keys/v1/key_version_service.ts';
import { entriesOf, sizeOf } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { importKey, newImportJob, newMaterial, offerFor, openRing, RING } from '../support/import.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { startReplica, type Replica } from '../support/replica.ts';
import { withDatabase } from '../support/stack.ts';

const stack = inject('stack');
const [operator, store, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'store'), clientsOf(stack, 'auditor')];
let replica: Replica;
let second: Clients;
beforeAll(async () => {
  await openRing(operator);
  replica = await startReplica(stack, 'keys');
  second = clientsOf(replica.stack, 'store');
});
afterAll(async () => {
  [operator, store, auditor, second].forEach((clients) => clients[Symbol.dispose]());
  await replica[Symbol.asyncDispose]();
});

const { DONE } = RootKeyRotation_State;
const EXPIRED = { code: 'FAILED_PRECONDITION', reason: 'KEY_MATERIAL_EXPIRED' };
const instanceUid = randomUUID();
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000);

/** A scope under the key, and a call of each replica that unwraps a data key of it. */
const scopeUnder = async (rootKey: string) => {
  const { name: scope } = await store.envelopes.createScope({ scopeUid: randomUUID(), rootKey, instanceUid, instance: 'instances/a' });
  const context = { instanceUid, resourceUid: randomUUID(), version: 1, additionalData: Buffer.alloc(0) };
  const { dek, wrappedDek } = await store.envelopes.generateDek({ scope, context });
  const unwrapBy = (as: Clients) => as.envelopes.unwrapDek({ scope, context, wrappedDek });
  return { scope, dek, unwrap: () => unwrapBy(store), unwrapBySecond: () => unwrapBy(second) };
};
const forgotten = (rootKeyUid: string) =>
  withDatabase(stack, 'keys', async (owner) => {
    const text =
      'select octet_length(ref) as length, material_forget_time as time from root_key_versions where key_uid = $1 order by version';
    return (await owner.query<{ length: number; time: Date | null }>(text, [rootKeyUid])).rows;
  });
const reimport = async (name: string, material: Buffer, version = 1, expireTime?: Date) =>
  operator.imports.reimportMaterial({ name, version, material: offerFor(await newImportJob(operator), material, expireTime) });

describe('material that expires', () => {
  it('is of no use within a second, cached or not, in both replicas, and is forgotten; brought back, all opens', async () => {
    const begin = await sizeOf(auditor);
    const material = newMaterial();
    const key = await importKey(operator, material, 5);
    expect(key.importedVersions).toEqual([{ version: 1, present: true, expireTime: expect.any(Date) }]);
    const expireTime = key.importedVersions[0]!.expireTime!;
    const used = await scopeUnder(key.name);
    const unused = await scopeUnder(key.name);
    expect((await used.unwrapBySecond()).dek).toEqual(used.dek);
    // Both replicas go on using it all the time, so that it is in their caches when it expires.
    let last = 0;
    const stillUsed = async (unwrap: () => Promise<unknown>): Promise<unknown> => {
      for (;;) {
        try {
          await unwrap();
          last = Math.max(last, Date.now());
        } catch (error) {
          return await properRefusalOf(Promise.reject(error));
        }
        await sleep(20);
      }
    };
    for (const refusal of await Promise.all([stillUsed(used.unwrap), stillUsed(used.unwrapBySecond)]))
      expect(refusal).toMatchObject(EXPIRED);
    expect(last).toBeLessThan(expireTime.getTime() + 1_000);
    for (const unwrap of [unused.unwrap, unused.unwrapBySecond]) expect(await properRefusalOf(unwrap())).toMatchObject(EXPIRED);
    const create = store.envelopes.createScope({ scopeUid: randomUUID(), rootKey: key.name, instanceUid, instance: 'instances/a' });
    expect(await properRefusalOf(create)).toMatchObject(EXPIRED);

    await expect.poll(() => forgotten(key.uid), { timeout: 10_000 }).toEqual([{ length: 121, time: expect.any(Date) }]);
    await expect
      .poll(async () => (await entriesOf(auditor, { resource: key.name }, begin)).map(({ event }) => event!.action), { timeout: 5_000 })
      .toContain('keys.rootkey.material.expire');
    for (const unwrap of [used.unwrap, unused.unwrapBySecond]) expect(await properRefusalOf(unwrap())).toMatchObject(EXPIRED);
    expect((await operator.keys.getRootKey({ name: key.name })).importedVersions).toMatchObject([{ version: 1, present: false }]);

    const back = await reimport(key.name, material);
    expect(back.importedVersions).toEqual([{ version: 1, present: true, expireTime: undefined }]);
    for (const { unwrap, unwrapBySecond, dek } of [used, unused]) {
      expect((await unwrap()).dek).toEqual(dek);
      expect((await unwrapBySecond()).dek).toEqual(dek);
    }
    const [entry] = await entriesOf(auditor, { resource: key.name }, begin);
    expect(entry!.event).toMatchObject({ outcome: Event_Outcome.SUCCESS });
  });

  it('in a batch fails its own items only', async () => {
    const living = await scopeUnder((await importKey(operator, newMaterial())).name);
    const key = await importKey(operator, newMaterial(), 2);
    const dying = await scopeUnder(key.name);
    await sleep(2_500);
    const requests = [dying, living].map(({ scope }) => ({
      scope,
      context: { instanceUid, resourceUid: randomUUID(), version: 1, additionalData: Buffer.alloc(0) },
      callContext: undefined,
    }));
    const { results } = await store.envelopes.batchGenerateDeks({ requests });
    expect(results.map(({ outcome }) => outcome?.$case)).toEqual(['error', 'response']);
    expect(results[0]!.outcome?.value).toMatchObject({ reason: 'KEY_MATERIAL_EXPIRED' });
  });

  it('can be given a later time before it has expired, and then goes on, but no earlier one', async () => {
    const material = newMaterial();
    const key = await importKey(operator, material, 4);
    const { unwrap, dek } = await scopeUnder(key.name);
    const sooner = reimport(key.name, material, 1, inSeconds(2));
    expect(await properRefusalOf(sooner)).toMatchObject({ reason: 'INVALID_FIELD', fields: ['material.expire_time'] });
    const later = inSeconds(3_600);
    expect((await reimport(key.name, material, 1, later)).importedVersions).toEqual([{ version: 1, present: true, expireTime: later }]);
    await sleep(4_500);
    expect((await unwrap()).dek).toEqual(dek);
  });

  it('is brought back by the same material only, to a version that is there, and the job is not spent by what is refused', async () => {
    const material = newMaterial();
    const key = await importKey(operator, material, 1);
    await sleep(1_200);
    const job = await newImportJob(operator);
    const bring = (version: number, what: Buffer, name = key.name) =>
      operator.imports.reimportMaterial({ name, version, material: offerFor(job, what) });
    const mismatch = { code: 'INVALID_ARGUMENT', reason: 'KEY_MATERIAL_MISMATCH' };
    expect(await properRefusalOf(bring(1, newMaterial()))).toMatchObject(mismatch);
    expect(await properRefusalOf(bring(2, material))).toMatchObject({ reason: 'NOT_FOUND' });
    expect(await properRefusalOf(bring(0, material))).toMatchObject({ fields: ['version'] });
    const { name: made } = await operator.keys.createRootKey({ parent: RING, rootKeyId: randomUUID() });
    expect(await properRefusalOf(bring(1, material, made))).toMatchObject({ fields: ['name'] });
    const other = await importKey(operator, newMaterial(), 1);
    expect(await properRefusalOf(bring(1, material, other.name))).toMatchObject(mismatch);
    expect(await operator.imports.getImportJob({ name: job.name })).toMatchObject({ attemptsLeft: 5, rootKey: '' });
    const call = { name: key.name, version: 1, material: offerFor(job, material) };
    const back = await operator.imports.reimportMaterial(call);
    // The same call again, after its answer was lost.
    expect(await operator.imports.reimportMaterial(call)).toEqual(back);
  });

  it('does not hold a rotation up, and is followed by its scopes once it is back', async () => {
    const material = newMaterial();
    const key = await importKey(operator, material, 2);
    const { scope, unwrap, dek } = await scopeUnder(key.name);
    await sleep(2_200);
    await operator.imports.importRootKeyVersion({ name: key.name, material: offerFor(await newImportJob(operator), newMaterial()) });
    const recent = await scopeUnder(key.name);
    expect(await properRefusalOf(unwrap())).toMatchObject(EXPIRED);
    expect((await Array.fromAsync(operator.watchRotation({ name: key.name }))).at(-1)).toMatchObject({ state: DONE, movedCount: 1n });
    await reimport(key.name, material);
    await expect.poll(async () => (await store.envelopes.getScope({ name: scope })).rootKeyVersion, { timeout: 10_000 }).toBe(2);
    expect([(await unwrap()).dek, (await recent.unwrap()).dek]).toEqual([dek, recent.dek]);
  });
});
