// The customer's side of an import: material wrapped and proved as docs/import.md says, with other code than the service's.
import { createCipheriv, createHmac, publicEncrypt, constants, randomBytes } from 'node:crypto';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/keys/v1/grant_service.ts';
import type { ImportJob, WrappedMaterial } from '../../src/gen/strongroom/keys/v1/import_service.ts';
import type { Clients } from './clients.ts';
import { grantTo, grantUse } from './customer-keys.ts';
import { newId } from './tenants.ts';

export const RING = 'keyRings/customer';

export const newMaterial = (): Buffer => randomBytes(32);

/** The key ring, whose keys the store may use, and the worker destroy. */
export const openRing = async (operator: Clients): Promise<void> => {
  await operator.keyRings.createKeyRing({ keyRingId: 'customer' });
  await grantUse(operator, RING);
  await grantTo(operator, spiffeIdOf('worker'), Role.PURGER, RING);
};

export const newImportJob = (as: Clients, ttlSeconds = 3_600, importJobId = newId('job'), parent = RING): Promise<ImportJob> =>
  as.imports.createImportJob({ parent, importJobId, ttl: { seconds: BigInt(ttlSeconds), nanos: 0 } }, { timeoutMs: 30_000 });

export const rsaWrap = (publicKey: string, kek: Buffer): Buffer =>
  publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, kek);

export const kwpWrap = (kek: Buffer, material: Buffer): Buffer => {
  const cipher = createCipheriv('id-aes256-wrap-pad', kek, Buffer.from('A65959A6', 'hex'));
  return Buffer.concat([cipher.update(material), cipher.final()]);
};

export const wrapFor = (publicKey: string, material: Buffer): Buffer => {
  const kek = randomBytes(32);
  return Buffer.concat([rsaWrap(publicKey, kek), kwpWrap(kek, material)]);
};

export const proofOf = ({ name, nonce }: Pick<ImportJob, 'name' | 'nonce'>, material: Buffer): Buffer =>
  createHmac('sha256', material).update('strongroom/import-proof/v1\0').update(`${name}\0`).update(nonce).digest();

export const offerFor = (job: ImportJob, material: Buffer, expireTime?: Date): WrappedMaterial => ({
  importJob: job.name,
  wrappedMaterial: wrapFor(job.publicKey, material),
  proof: proofOf(job, material),
  expireTime,
});

/** A root key of the material. Time runs from when the job is there, which can take a while. */
export const importKey = async (as: Clients, material: Buffer, expireInSeconds?: number, parent = RING) => {
  const job = await newImportJob(as, 3_600, newId('job'), parent);
  const expireTime = expireInSeconds === undefined ? undefined : new Date(Date.now() + expireInSeconds * 1_000);
  return as.imports.importRootKey({ parent, rootKeyId: newId('k'), material: offerFor(job, material, expireTime) });
};
