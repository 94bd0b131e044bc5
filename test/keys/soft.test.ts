import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openSoftBackend } from '../../src/keys/soft.ts';
import { keyBackendContract } from '../contract/key-backend.ts';

keyBackendContract('soft', async () => openSoftBackend(randomBytes(32)));

const vector = JSON.parse(readFileSync(new URL('../vectors/keys/soft-v1.json', import.meta.url), 'utf8')) as Record<string, string> & {
  version: number;
};
const bytes = (name: string): Buffer => Buffer.from(vector[name] ?? '', 'hex');

describe('the soft backend', () => {
  const key = { keyUid: vector['keyUid'] ?? '', version: vector.version, ref: bytes('ref') };

  it('opens a root key and a scope key that were wrapped by its first release', async () => {
    const backend = openSoftBackend(bytes('masterKey'));
    expect(await backend.unwrap(key, bytes('wrapped'), bytes('context'), 0)).toEqual(bytes('plain'));
  });

  it('says that the master key is another one, and opens nothing', async () => {
    const backend = openSoftBackend(randomBytes(32));
    await expect(backend.unwrap(key, bytes('wrapped'), bytes('context'), 0)).rejects.toMatchObject({
      reason: 'DATA_CORRUPTED',
      message: expect.stringContaining('another master key'),
    });
  });
});
