// What every key backend promises of imported material, as one suite: each backend's own test calls it.
import { createHmac, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ImportKeyRef, KeyBackend, RootKeyRef } from '../../src/keys/backend.ts';
import { wrapFor } from '../support/import.ts';

const JOB = '01900000-0000-7000-8000-00000000000a';
const UID = '01900000-0000-7000-8000-000000000003';
const soon = () => Date.now() + 30_000;
const message = Buffer.from('the job, and its nonce');
const CORRUPTED = { reason: 'DATA_CORRUPTED' };
const EXPIRED = { reason: 'KEY_MATERIAL_EXPIRED' };

export const importContract = (name: string, open: () => Promise<KeyBackend>): void => {
  describe(`a ${name} key backend, given a customer’s material,`, () => {
    let backend: KeyBackend;
    let job: ImportKeyRef;
    let key: RootKeyRef;
    let offer: { wrappedMaterial: Buffer; proof: Buffer; message: Buffer };
    const material = randomBytes(32);
    const plain = randomBytes(32);
    const context = Buffer.from('what the key is for');
    const wrap = (by: RootKeyRef) => backend.wrap(by, plain, context, soon());
    const unwrap = (by: RootKeyRef, wrapped: Buffer) => backend.unwrap(by, wrapped, context, soon());

    beforeAll(async () => {
      backend = await open();
      const { publicKey, sealed } = await backend.createImportKey(JOB, soon());
      job = { jobUid: JOB, sealed };
      offer = { wrappedMaterial: wrapFor(publicKey, material), proof: createHmac('sha256', material).update(message).digest(), message };
      key = { keyUid: UID, version: 1, ref: (await backend.importMaterial(job, offer, { keyUid: UID, version: 1 }, soon())).ref };
    });
    afterAll(() => backend[Symbol.asyncDispose]());

    it('wraps and unwraps with it', async () => {
      expect(await unwrap(key, await wrap(key))).toEqual(plain);
    });

    it('knows the same material by its check value, and shows it in nothing it answers', async () => {
      const again = await backend.importMaterial(job, offer, { keyUid: UID, version: 9 }, soon());
      expect(again.checkValue).toEqual(createHmac('sha256', material).update('strongroom/check-value/v1').digest());
      for (const answer of [again.ref, again.checkValue, key.ref, job.sealed]) expect(answer.includes(material)).toBe(false);
    });

    it('takes the reference of one key or version for no other', async () => {
      await expect(wrap({ ...key, version: 2 })).rejects.toMatchObject(CORRUPTED);
      await expect(wrap({ ...key, keyUid: JOB })).rejects.toMatchObject(CORRUPTED);
    });

    it('renews it so that the new version opens nothing of the old one, although the material is the same', async () => {
      const wrapped = await wrap(key);
      const renewed = { keyUid: UID, version: 2, ref: await backend.renew(key, 2, soon()) };
      await expect(unwrap(renewed, wrapped)).rejects.toMatchObject(CORRUPTED);
      await backend.destroy(key, soon());
      expect(await unwrap(renewed, await wrap(renewed))).toEqual(plain);
      // Nor does the material, brought in once more: what is missing was never the customer's.
      const { ref } = await backend.importMaterial(job, offer, { keyUid: UID, version: 1 }, soon());
      await expect(unwrap({ keyUid: UID, version: 1, ref }, wrapped)).rejects.toMatchObject(CORRUPTED);
    });

    it('forgets it, does nothing without it, and goes on when the same is brought back', async () => {
      const wrapped = await wrap(key);
      const left = { ...key, ref: await backend.forgetMaterial(key, soon()) };
      await expect(wrap(left)).rejects.toMatchObject(EXPIRED);
      await expect(unwrap(left, wrapped)).rejects.toMatchObject(EXPIRED);
      await expect(backend.renew(left, 2, soon())).rejects.toMatchObject(EXPIRED);
      const resealed = { ...left, ref: await backend.reseal(left, soon()) };
      const { ref } = await backend.importMaterial(job, offer, resealed, soon());
      expect(await unwrap({ ...key, ref }, wrapped)).toEqual(plain);
    });

    it('keeps the key of an import job when that is sealed anew', async () => {
      const sealed = await backend.resealImportKey(job, soon());
      await expect(backend.importMaterial({ ...job, sealed }, offer, { keyUid: UID, version: 9 }, soon())).resolves.toBeDefined();
      const other = { jobUid: UID, sealed };
      await expect(backend.importMaterial(other, offer, { keyUid: UID, version: 9 }, soon())).rejects.toMatchObject(CORRUPTED);
    });

    it('rejects it with a wrong proof', async () => {
      const wrong = { ...offer, proof: randomBytes(32) };
      await expect(backend.importMaterial(job, wrong, key, soon())).rejects.toMatchObject({ reason: 'IMPORT_REJECTED' });
    });
  });
};
