// The private key of an import job, sealed under a master key. Pure, but for the random bytes.
//
// Sealed import key: format 0x01 ‖ master key id (8) ‖ wrapped PKCS#8 DER (see wrap.ts). Context: `strongroom/import-key/v1` 0x00 ‖
// format ‖ master key id ‖ job uid (16).
import { AppError } from '../kernel/errors.ts';
import type { UseMasterKey } from './imported.ts';
import { contextOf, unwrapLong, uuidBytes, wrapKey } from './wrap.ts';

const FORMAT = Buffer.of(1);
const HEAD_BYTES = FORMAT.length + 8;

const contextIn = (masterId: Buffer, jobUid: string): Buffer => contextOf('strongroom/import-key/v1', FORMAT, masterId, uuidBytes(jobUid));

export const sealImportKey = (use: UseMasterKey, masterId: Buffer, jobUid: string, pkcs8: Buffer): Buffer =>
  use(masterId, (masterKey) => Buffer.concat([FORMAT, masterId, wrapKey(masterKey, pkcs8, contextIn(masterId, jobUid))]));

/** Lends the PKCS#8 bytes to `work`, and wipes them after it. */
export const withImportKey = <T>(use: UseMasterKey, jobUid: string, sealed: Buffer, work: (pkcs8: Buffer) => T): T => {
  const corrupted = () => new AppError('DATA_CORRUPTED', 'the key of an import job does not open: it is not what was written');
  if (sealed[0] !== FORMAT[0] || sealed.length < HEAD_BYTES) throw corrupted();
  const masterId = sealed.subarray(FORMAT.length, HEAD_BYTES);
  const pkcs8 = use(masterId, (masterKey) => unwrapLong(masterKey, sealed.subarray(HEAD_BYTES), contextIn(masterId, jobUid)));
  if (!pkcs8) throw corrupted();
  try {
    return work(pkcs8);
  } finally {
    pkcs8.fill(0);
  }
};
