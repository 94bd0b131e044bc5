// The soft backend: a root key is 32 random bytes, sealed under a master key from a file; the reference is the sealed key.
// Destroying it is forgetting the reference, and for who has kept a copy of that, the destruction of the master key (epochs.ts).
// A plain root key exists for the length of one call.
//
// Reference: format 0x01 ‖ master key id (8) ‖ wrapped key (112, see wrap.ts). Context: `strongroom/root/v1` 0x00 ‖ format ‖
// master key id ‖ key uid (16) ‖ version (u32). Wrapped scope key: format 0x01 ‖ wrapped key (112).
import { randomBytes } from 'node:crypto';
import { AppError } from '../kernel/errors.ts';
import type { KeyBackend, RootKeyRef } from './backend.ts';
import type { MasterKeys } from './master-keys.ts';
import { contextOf, KEY_BYTES, u32, unwrapKey, uuidBytes, wrapKey } from './wrap.ts';

const FORMAT = Buffer.of(1);
const HEAD_BYTES = FORMAT.length + 8;

const corrupted = (what: string): AppError => new AppError('DATA_CORRUPTED', `${what} does not open: it is not what was written`);

export const openSoftBackend = (masterKeys: Pick<MasterKeys, 'current' | 'use'>): KeyBackend => {
  const contextOfRoot = (masterId: Buffer, keyUid: string, version: number) =>
    contextOf('strongroom/root/v1', FORMAT, masterId, uuidBytes(keyUid), u32(version));

  const withRootKey = <T>({ keyUid, version, ref }: RootKeyRef, use: (rootKey: Buffer) => T): T => {
    if (ref[0] !== FORMAT[0] || ref.length < HEAD_BYTES) throw corrupted('a root key');
    const masterId = ref.subarray(FORMAT.length, HEAD_BYTES);
    const context = contextOfRoot(masterId, keyUid, version);
    const rootKey = masterKeys.use(masterId.toString('hex'), (masterKey) => unwrapKey(masterKey, ref.subarray(HEAD_BYTES), context));
    if (!rootKey) throw corrupted('a root key');
    try {
      return use(rootKey);
    } finally {
      rootKey.fill(0);
    }
  };

  return {
    create: async (keyUid, version) => {
      const id = await masterKeys.current();
      const masterId = Buffer.from(id, 'hex');
      const rootKey = randomBytes(KEY_BYTES);
      try {
        const context = contextOfRoot(masterId, keyUid, version);
        return Buffer.concat([FORMAT, masterId, masterKeys.use(id, (masterKey) => wrapKey(masterKey, rootKey, context))]);
      } finally {
        rootKey.fill(0);
      }
    },
    wrap: async (key, plain, context) => withRootKey(key, (rootKey) => Buffer.concat([FORMAT, wrapKey(rootKey, plain, context)])),
    unwrap: async (key, wrapped, context) =>
      withRootKey(key, (rootKey) => {
        const plain = wrapped[0] === FORMAT[0] ? unwrapKey(rootKey, wrapped.subarray(1), context) : undefined;
        if (!plain) throw corrupted('a scope key');
        return plain;
      }),
    destroy: async () => undefined,
    check: async () => masterKeys.use(await masterKeys.current(), () => undefined),
    [Symbol.asyncDispose]: async () => undefined,
  };
};
