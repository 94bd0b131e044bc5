// What every key backend promises, as one suite: each backend's own test calls it.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyBackend, RootKeyRef } from '../../src/keys/backend.ts';

const UID = '01900000-0000-7000-8000-000000000001';
const OTHER = '01900000-0000-7000-8000-000000000002';
const soon = () => Date.now() + 5_000;

export const keyBackendContract = (name: string, open: () => Promise<KeyBackend>): void => {
  describe(`a ${name} key backend`, () => {
    let backend: KeyBackend;
    let key: RootKeyRef;
    const plain = randomBytes(32);
    const context = Buffer.from('what the key is for');

    beforeAll(async () => {
      backend = await open();
      key = { keyUid: UID, version: 1, ref: await backend.create(UID, 1, soon()) };
    });
    afterAll(() => backend[Symbol.asyncDispose]());

    it('opens what it wrapped, and shows nothing of it meanwhile', async () => {
      const wrapped = await backend.wrap(key, plain, context, soon());
      expect(wrapped.includes(plain)).toBe(false);
      expect(await backend.unwrap(key, wrapped, context, soon())).toEqual(plain);
    });

    it('wraps the same key differently each time', async () => {
      const [one, two] = await Promise.all([backend.wrap(key, plain, context, soon()), backend.wrap(key, plain, context, soon())]);
      expect(one).not.toEqual(two);
    });

    it('opens nothing for another context', async () => {
      const wrapped = await backend.wrap(key, plain, context, soon());
      await expect(backend.unwrap(key, wrapped, Buffer.from('another'), soon())).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
    });

    it('opens nothing with another key', async () => {
      const wrapped = await backend.wrap(key, plain, context, soon());
      const other = { keyUid: OTHER, version: 1, ref: await backend.create(OTHER, 1, soon()) };
      await expect(backend.unwrap(other, wrapped, context, soon())).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
    });

    it('refuses a wrapped key in which any one byte was changed, or that was cut short', async () => {
      const wrapped = await backend.wrap(key, plain, context, soon());
      for (let i = 0; i < wrapped.length; i++) {
        const changed = Buffer.from(wrapped);
        changed[i] = (changed[i] ?? 0) ^ 1;
        await expect(backend.unwrap(key, changed, context, soon()), `byte ${i}`).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
      }
      await expect(backend.unwrap(key, wrapped.subarray(0, -1), context, soon())).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
      await expect(backend.unwrap(key, Buffer.alloc(0), context, soon())).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
    });

    it('does not take one version of a key for another', async () => {
      await expect(backend.wrap({ ...key, version: 2 }, plain, context, soon())).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
    });

    it('lets a key be destroyed twice', async () => {
      const doomed = { keyUid: OTHER, version: 2, ref: await backend.create(OTHER, 2, soon()) };
      await backend.destroy(doomed, soon());
      await backend.destroy(doomed, soon());
    });

    it('makes a new version of a key beside the old one, and loses nothing when the old one goes', async () => {
      const [one, two] = [await backend.create(OTHER, 3, soon()), await backend.create(OTHER, 4, soon())].map((ref, i) => ({
        keyUid: OTHER,
        version: 3 + i,
        ref,
      })) as [RootKeyRef, RootKeyRef];
      const [old, renewed] = [await backend.wrap(one, plain, context, soon()), await backend.wrap(two, plain, context, soon())];
      expect(await backend.unwrap(one, old, context, soon())).toEqual(plain);
      // Of other material: what the old one wrapped is not the new one's.
      await expect(backend.unwrap(two, old, context, soon())).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
      await backend.destroy(one, soon());
      expect(await backend.unwrap(two, renewed, context, soon())).toEqual(plain);
    });

    it('renews a key it has made by other material', async () => {
      const wrapped = await backend.wrap(key, plain, context, soon());
      const renewed = { keyUid: UID, version: 2, ref: await backend.renew(key, 2, soon()) };
      await expect(backend.unwrap(renewed, wrapped, context, soon())).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
      expect(await backend.unwrap(renewed, await backend.wrap(renewed, plain, context, soon()), context, soon())).toEqual(plain);
    });

    it('says that it is well', async () => {
      await expect(backend.check()).resolves.toBeUndefined();
    });
  });
};
