import { createCipheriv, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openWith, sealWith, type Place } from '../../src/store/envelope.ts';

interface Vector {
  name: string;
  expect: 'success' | 'tag failure' | 'wrong place' | 'unknown format' | 'truncated';
  dek: string;
  place: Place;
  iv?: string;
  aad?: string;
  payload?: string;
  sealed: string;
}
const { vectors } = JSON.parse(readFileSync(new URL('../vectors/envelope/payload-v1.json', import.meta.url), 'utf8')) as {
  vectors: Vector[];
};
const hex = (text = ''): Buffer => Buffer.from(text, 'hex');
const lost = expect.objectContaining({ reason: 'DATA_CORRUPTED', code: 'DATA_LOSS' }) as Error;

describe('sealed payloads of format 1', () => {
  it.each(vectors.filter((v) => v.expect === 'success'))('open and seal as ever: $name', (v) => {
    expect(openWith(hex(v.dek), v.place, hex(v.sealed))).toEqual(hex(v.payload));
    expect(sealWith(hex(v.dek), v.place, hex(v.payload), hex(v.iv)).toString('hex')).toBe(v.sealed);
  });

  it.each(vectors.filter((v) => v.expect === 'success'))('are plain AES-256-GCM, which anybody can write: $name', (v) => {
    const cipher = createCipheriv('aes-256-gcm', hex(v.dek), hex(v.iv)).setAAD(hex(v.aad));
    const ciphertext = Buffer.concat([cipher.update(hex(v.payload)), cipher.final()]);
    expect(Buffer.concat([Buffer.of(1), hex(v.iv), ciphertext, cipher.getAuthTag()]).toString('hex')).toBe(v.sealed);
  });

  it.each(vectors.filter((v) => v.expect !== 'success'))('do not open, but are reported as lost data: $name ($expect)', (v) => {
    expect(() => openWith(hex(v.dek), v.place, hex(v.sealed))).toThrow(lost);
  });

  it('have vectors of every kind', () => {
    expect(new Set(vectors.map((v) => v.expect))).toEqual(
      new Set(['success', 'tag failure', 'wrong place', 'unknown format', 'truncated']),
    );
  });
});

describe('sealing', () => {
  const [dek, value] = [randomBytes(32), randomBytes(100)];
  const place: Place = {
    instanceUid: '0190a5c0-1111-7000-8000-00000000000a',
    groupUid: '',
    secretUid: '0190a5c0-3333-7000-8000-00000000000c',
    version: 1,
  };

  it('takes a new IV each time', () => {
    expect(sealWith(dek, place, value)).not.toEqual(sealWith(dek, place, value));
    expect(openWith(dek, place, sealWith(dek, place, value))).toEqual(value);
  });

  it('detects any changed bit', () => {
    const sealed = sealWith(dek, place, value);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => openWith(dek, place, changed), `bit ${bit}`).toThrow(lost);
    }
  });
});
