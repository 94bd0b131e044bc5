import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openSoftBackend } from '../../src/keys/soft.ts';
import { masterKeyId } from '../../src/keys/key-files.ts';
import { importContract } from '../contract/import.ts';
import { keyBackendContract } from '../contract/key-backend.ts';
import { ringOf } from './ring.ts';

keyBackendContract('soft', async () => openSoftBackend(ringOf(randomBytes(32))));
importContract('soft', async () => openSoftBackend(ringOf(randomBytes(32))));

const vector = JSON.parse(readFileSync(new URL('../vectors/keys/soft-v1.json', import.meta.url), 'utf8')) as Record<string, string> & {
  version: number;
};
const bytes = (name: string): Buffer => Buffer.from(vector[name] ?? '', 'hex');

describe('the soft backend', () => {
  const key = { keyUid: vector['keyUid'] ?? '', version: vector.version, ref: bytes('ref') };

  it('opens a root key and a scope key that were wrapped by its first release', async () => {
    const backend = openSoftBackend(ringOf(bytes('masterKey')));
    expect(await backend.unwrap(key, bytes('wrapped'), bytes('context'), 0)).toEqual(bytes('plain'));
  });

  it('opens with a previous master key what that one has sealed, and seals with the current one', async () => {
    const [old, current] = [bytes('masterKey'), randomBytes(32)];
    const backend = openSoftBackend(ringOf(old, current));
    expect(await backend.unwrap(key, bytes('wrapped'), bytes('context'), 0)).toEqual(bytes('plain'));
    const ref = await backend.create(key.keyUid, 2, 0);
    expect(ref.subarray(1, 9).toString('hex')).toBe(masterKeyId(current));
  });

  it('names the master key that is gone, and opens nothing', async () => {
    const backend = openSoftBackend(ringOf(randomBytes(32)));
    await expect(backend.unwrap(key, bytes('wrapped'), bytes('context'), 0)).rejects.toMatchObject({
      reason: 'KEYS_UNAVAILABLE',
      message: expect.stringContaining(masterKeyId(bytes('masterKey'))),
    });
  });

  it('takes no reference that says it is sealed under another master key than it is', async () => {
    const [old, current] = [bytes('masterKey'), randomBytes(32)];
    const backend = openSoftBackend(ringOf(old, current));
    const ref = Buffer.from(key.ref);
    ref.write(masterKeyId(current), 1, 'hex');
    await expect(backend.unwrap({ ...key, ref }, bytes('wrapped'), bytes('context'), 0)).rejects.toMatchObject({
      reason: 'DATA_CORRUPTED',
    });
    for (const length of [0, 1, 8, 9, 120])
      await expect(backend.wrap({ ...key, ref: ref.subarray(0, length) }, Buffer.alloc(32), bytes('context'), 0)).rejects.toThrow();
  });
});
