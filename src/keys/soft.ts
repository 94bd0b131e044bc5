// The soft backend: a root key is 32 random bytes, sealed under a master key from a file; the reference is the sealed key.
// Destroying it is forgetting the reference. A plain root key exists for the length of one call.
//
// Reference: format 0x01 ‖ master key id (8) ‖ wrapped key (112, see wrap.ts). Context: `strongroom/root/v1` 0x00 ‖ format ‖
// master key id ‖ key uid (16) ‖ version (u32). Wrapped scope key: format 0x01 ‖ wrapped key (112).
import { hkdfSync, randomBytes } from 'node:crypto';
import { AppError } from '../kernel/errors.ts';
import type { KeyBackend, RootKeyRef } from './backend.ts';
import { contextOf, KEY_BYTES, u32, unwrapKey, uuidBytes, wrapKey } from './wrap.ts';

const FORMAT = Buffer.of(1);
const MASTER_ID_BYTES = 8;

const corrupted = (what: string): AppError =>
  new AppError(
    'DATA_CORRUPTED',
    `${what} does not open: it was changed, or the key service runs with another master key than it was made with`,
  );

export const openSoftBackend = (masterKey: Buffer): KeyBackend => {
  const masterId = Buffer.from(hkdfSync('sha256', masterKey, '', 'strongroom/master-id/v1', MASTER_ID_BYTES));
  const contextOfRoot = (keyUid: string, version: number) =>
    contextOf('strongroom/root/v1', FORMAT, masterId, uuidBytes(keyUid), u32(version));

  const withRootKey = <T>({ keyUid, version, ref }: RootKeyRef, use: (rootKey: Buffer) => T): T => {
    const head = FORMAT.length + MASTER_ID_BYTES;
    if (!ref.subarray(0, head).equals(Buffer.concat([FORMAT, masterId]))) throw corrupted('a root key');
    const rootKey = unwrapKey(masterKey, ref.subarray(head), contextOfRoot(keyUid, version));
    if (!rootKey) throw corrupted('a root key');
    try {
      return use(rootKey);
    } finally {
      rootKey.fill(0);
    }
  };

  return {
    create: async (keyUid, version) => {
      const rootKey = randomBytes(KEY_BYTES);
      const ref = Buffer.concat([FORMAT, masterId, wrapKey(masterKey, rootKey, contextOfRoot(keyUid, version))]);
      rootKey.fill(0);
      return ref;
    },
    wrap: async (key, plain, context) => withRootKey(key, (rootKey) => Buffer.concat([FORMAT, wrapKey(rootKey, plain, context)])),
    unwrap: async (key, wrapped, context) =>
      withRootKey(key, (rootKey) => {
        const plain = wrapped[0] === FORMAT[0] ? unwrapKey(rootKey, wrapped.subarray(1), context) : undefined;
        if (!plain) throw corrupted('a scope key');
        return plain;
      }),
    destroy: async () => undefined,
    check: async () => undefined,
    [Symbol.asyncDispose]: async () => void masterKey.fill(0),
  };
};
