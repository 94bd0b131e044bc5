// The customer's side of an import: material wrapped and proved as docs/import.md says, with other code than the service's.
import { createCipheriv, createHmac, publicEncrypt, constants, randomBytes } from 'node:crypto';
import type { ImportJob, WrappedMaterial } from '../../src/gen/strongroom/keys/v1/import_service.ts';
import type { Clients } from './clients.ts';
import { newId } from './tenants.ts';

export const RING = 'keyRings/customer';

export const newMaterial = (): Buffer => randomBytes(32);

export const newImportJob = (as: Clients, ttlSeconds = 3_600, importJobId = newId('job')): Promise<ImportJob> =>
  as.imports.createImportJob({ parent: RING, importJobId, ttl: { seconds: BigInt(ttlSeconds), nanos: 0 } }, { timeoutMs: 30_000 });

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

/** A root key of the material, for the instance. Time runs from when the job is there, which can take a while. */
export const importKey = async (as: Clients, owner: string, material: Buffer, expireInSeconds?: number) => {
  const job = await newImportJob(as);
  const expireTime = expireInSeconds === undefined ? undefined : new Date(Date.now() + expireInSeconds * 1_000);
  return as.imports.importRootKey({ parent: RING, rootKeyId: newId('k'), owner, material: offerFor(job, material, expireTime) });
};
