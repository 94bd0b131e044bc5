import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withImportKey } from '../../src/keys/import-key.ts';
import { checkValueOf, proofMessage } from '../../src/keys/material.ts';
import { openSoftBackend } from '../../src/keys/soft.ts';
import { contextOf, u32, uuidBytes } from '../../src/keys/wrap.ts';
import { ringOf } from './ring.ts';

const vector = JSON.parse(readFileSync(new URL('../vectors/keys/imported-v2.json', import.meta.url), 'utf8')) as Record<string, string> & {
  version: number;
};
const text = (name: string): string => vector[name] ?? '';
const bytes = (name: string): Buffer => Buffer.from(text(name), 'hex');

const ring = ringOf(bytes('masterKey'));
const backend = openSoftBackend(ring);
const [keyUid, version] = [text('keyUid'), vector.version];
const key = { keyUid, version, ref: bytes('ref') };
const context = contextOf(
  'strongroom/scope/v2',
  uuidBytes(keyUid),
  u32(version),
  uuidBytes(text('scopeUid')),
  uuidBytes(text('instanceUid')),
  u32(1),
);
const unwrap = (ref: Buffer) => backend.unwrap({ ...key, ref }, bytes('wrapped'), context, 0);

describe('an imported key as the first release wrote it', () => {
  it('opens the scope key under it, also when the same material was away and has come back', async () => {
    expect(await unwrap(key.ref)).toEqual(bytes('plain'));
    expect(await backend.forgetMaterial(key, 0)).toEqual(bytes('refWithoutMaterial'));
    await expect(unwrap(bytes('refWithoutMaterial'))).rejects.toMatchObject({ reason: 'KEY_MATERIAL_EXPIRED' });
    const message = proofMessage(text('jobName'), bytes('nonce'));
    const { ref, checkValue } = await backend.importMaterial(
      { jobUid: text('jobUid'), sealed: bytes('sealedImportKey') },
      { wrappedMaterial: bytes('wrappedMaterial'), proof: bytes('proof'), message },
      { keyUid, version, ref: bytes('refWithoutMaterial') },
      0,
    );
    expect(checkValue).toEqual(bytes('checkValue'));
    expect(await unwrap(ref)).toEqual(bytes('plain'));
  });

  it('has its check value, and its job’s private key', () => {
    expect(checkValueOf(bytes('material'))).toEqual(bytes('checkValue'));
    const use = <T>(id: Buffer, work: (masterKey: Buffer) => T): T => ring.use(id.toString('hex'), work);
    withImportKey(use, text('jobUid'), bytes('sealedImportKey'), (pkcs8) => expect(pkcs8).toEqual(bytes('pkcs8')));
  });

  it('does not open with any one byte of its reference changed, or in another length', async () => {
    for (let i = 0; i < key.ref.length; i++) {
      const ref = Buffer.from(key.ref);
      ref[i] = ref[i]! ^ 1;
      // A changed id names another master key.
      const reason = i >= 1 && i <= 8 ? 'KEYS_UNAVAILABLE' : 'DATA_CORRUPTED';
      await expect(unwrap(ref), `byte ${i}`).rejects.toMatchObject({ reason });
    }
    for (const length of [0, 1, 9, 120, 122, 232])
      await expect(unwrap(key.ref.subarray(0, length))).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
  });

  it('does not take a pepper for material, nor the other way round', async () => {
    const { ref } = key;
    const swapped = Buffer.concat([ref.subarray(0, 9), ref.subarray(121), ref.subarray(9, 121)]);
    await expect(unwrap(swapped)).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
  });
});
