import { createHmac, createPublicKey, randomBytes, type KeyObject } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { assertStrong, checkValueOf, newRsaPair, openOffer, proofMessage } from '../../src/keys/material.ts';
import { kwpWrap, rsaWrap } from '../support/import.ts';

const REJECTED = expect.objectContaining({ reason: 'IMPORT_REJECTED', code: 'INVALID_ARGUMENT' });
const WEAK = expect.objectContaining({ reason: 'WEAK_KEY_MATERIAL' });
const job = 'keyRings/a/importJobs/b';
const nonce = randomBytes(32);
const [material, kek] = [randomBytes(32), randomBytes(32)];
const message = proofMessage(job, nonce);
const proofBy = (key: Buffer): Buffer => createHmac('sha256', key).update(message).digest();
const proof = proofBy(material);

describe('wrapped material', () => {
  let privateKey: KeyObject;
  let publicKey: string;
  let rsaPart: Buffer;
  const open = (wrappedMaterial: Buffer, by = proof) => openOffer(privateKey, { wrappedMaterial, proof: by, message });
  const with40 = (aesPart: Buffer): Buffer => Buffer.concat([rsaPart, aesPart]);
  beforeAll(async () => {
    const pair = await newRsaPair();
    ({ privateKey } = pair);
    publicKey = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    rsaPart = rsaWrap(publicKey, kek);
  });

  it('opens, for a key of 4096 bits', () => {
    expect(createPublicKey(publicKey).asymmetricKeyDetails).toMatchObject({ modulusLength: 4096, publicExponent: 65537n });
    expect(open(with40(kwpWrap(kek, material)))).toEqual(material);
  });

  it('is rejected with any one byte of its AES part changed', () => {
    const whole = kwpWrap(kek, material);
    expect(whole).toHaveLength(40);
    for (let i = 0; i < whole.length; i++) {
      for (const bit of [1, 128]) {
        const changed = Buffer.from(whole);
        changed[i] = changed[i]! ^ bit;
        expect(() => open(with40(changed)), `byte ${i}`).toThrow(REJECTED);
      }
    }
  });

  it('is rejected with a byte of its RSA part changed', () => {
    for (const i of [0, 1, 255, 511]) {
      const changed = with40(kwpWrap(kek, material));
      changed[i] = changed[i]! ^ 1;
      expect(() => open(changed), `byte ${i}`).toThrow(REJECTED);
    }
  });

  it.each([0, 1, 8, 16, 24, 31, 33, 40, 64])('is rejected with material of %i bytes, proved or not', (length) => {
    const other = randomBytes(length);
    const wrapped = length === 0 ? Buffer.alloc(0) : kwpWrap(kek, other);
    expect(() => open(with40(wrapped), proofBy(other))).toThrow(REJECTED);
  });

  it('is rejected in any other length', () => {
    const whole = with40(kwpWrap(kek, material));
    for (const length of [0, 1, 40, 511, 512, 513, 544, 551]) expect(() => open(whole.subarray(0, length))).toThrow(REJECTED);
    expect(() => open(Buffer.concat([whole, Buffer.of(0)]))).toThrow(REJECTED);
  });

  it.each([16, 24, 31])('is rejected when the key around it has %i bytes', (length) => {
    expect(() => open(Buffer.concat([rsaWrap(publicKey, randomBytes(length)), kwpWrap(kek, material)]))).toThrow(REJECTED);
  });

  it('is rejected with a proof of other material, of another job, over another nonce, or of another length', () => {
    const whole = with40(kwpWrap(kek, material));
    const over = (text: Buffer) => createHmac('sha256', material).update(text).digest();
    for (const wrong of [
      proofBy(randomBytes(32)),
      over(proofMessage('keyRings/a/importJobs/c', nonce)),
      over(proofMessage(job, randomBytes(32))),
      proof.subarray(1),
      Buffer.concat([proof, Buffer.of(0)]),
      Buffer.alloc(0),
    ])
      expect(() => open(whole, wrong)).toThrow(REJECTED);
  });

  it('says the same, whatever is wrong', () => {
    const messages = [Buffer.alloc(0), randomBytes(552), with40(randomBytes(40))].map((wrapped) => {
      try {
        return open(wrapped).toString('hex');
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(new Set(messages).size).toBe(1);
  });
});

describe('material', () => {
  it('that is random is strong', () => {
    for (let i = 0; i < 1_000; i++) expect(() => assertStrong(randomBytes(32))).not.toThrow();
  });

  it.each([
    ['zeros', Buffer.alloc(32)],
    ['one byte all over', Buffer.alloc(32, 0xa5)],
    ['text of a few letters', Buffer.from('password'.repeat(4))],
    ['fifteen different bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => i % 15))],
    ['a random half, twice', Buffer.concat([material.subarray(0, 16), material.subarray(0, 16)])],
  ])('of %s is weak', (_, weak) => {
    expect(() => assertStrong(weak)).toThrow(WEAK);
  });

  it('has a check value that is HMAC-SHA-256 of a text of its own', () => {
    expect(checkValueOf(material)).toEqual(createHmac('sha256', material).update('strongroom/check-value/v1').digest());
    expect(checkValueOf(material)).not.toEqual(proof);
  });
});
