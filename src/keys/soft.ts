// The soft backend: a root key is 32 random bytes, sealed under a master key from a file; the reference is the sealed key.
// Destroying it is forgetting the reference, and for who has kept a copy of that, the destruction of the master key (epochs.ts).
// A plain root key exists for the length of one call.
//
// Reference: format 0x01 ‖ master key id (8) ‖ wrapped key (112, see wrap.ts); of an imported key see imported.ts. Context:
// `strongroom/root/v1` 0x00 ‖ format ‖ master key id ‖ key uid (16) ‖ version (u32). Wrapped scope key: format 0x01 ‖ wrapped key (112).
import { createPrivateKey, randomBytes } from 'node:crypto';
import { AppError } from '../kernel/errors.ts';
import type { KeyBackend, RootKeyRef, RootKeyVersion } from './backend.ts';
import { sealImportKey, withImportKey } from './import-key.ts';
import {
  deriveRootKey,
  isImported,
  materialExpired,
  newPepper,
  pepperOnly,
  sealParts,
  withParts,
  type Parts,
  type UseMasterKey,
} from './imported.ts';
import type { MasterKeys } from './master-keys.ts';
import { assertStrong, checkValueOf, newRsaPair, openOffer } from './material.ts';
import { contextOf, KEY_BYTES, u32, unwrapKey, uuidBytes, wrapKey } from './wrap.ts';

const FORMAT = Buffer.of(1);
const HEAD_BYTES = FORMAT.length + 8;

const corrupted = (what: string): AppError => new AppError('DATA_CORRUPTED', `${what} does not open: it is not what was written`);

const contextOfRoot = (masterId: Buffer, { keyUid, version }: RootKeyVersion): Buffer =>
  contextOf('strongroom/root/v1', FORMAT, masterId, uuidBytes(keyUid), u32(version));

export const openSoftBackend = (masterKeys: Pick<MasterKeys, 'current' | 'use'>): KeyBackend => {
  const use: UseMasterKey = (masterId, work) => masterKeys.use(masterId.toString('hex'), work);
  const currentId = async (): Promise<Buffer> => Buffer.from(await masterKeys.current(), 'hex');

  /** The plain root key, to be wiped by the caller. */
  const openRootKey = (key: RootKeyRef): Buffer => {
    const { ref } = key;
    if (isImported(ref)) return withParts(use, key, ref, (parts) => deriveRootKey(key, parts));
    if (ref[0] !== FORMAT[0] || ref.length < HEAD_BYTES) throw corrupted('a root key');
    const masterId = ref.subarray(FORMAT.length, HEAD_BYTES);
    const rootKey = use(masterId, (masterKey) => unwrapKey(masterKey, ref.subarray(HEAD_BYTES), contextOfRoot(masterId, key)));
    if (!rootKey) throw corrupted('a root key');
    return rootKey;
  };
  const withRootKey = <T>(key: RootKeyRef, work: (rootKey: Buffer) => T): T => {
    const rootKey = openRootKey(key);
    try {
      return work(rootKey);
    } finally {
      rootKey.fill(0);
    }
  };
  const create = async (keyUid: string, version: number): Promise<Buffer> => {
    const masterId = await currentId();
    const rootKey = randomBytes(KEY_BYTES);
    try {
      const context = contextOfRoot(masterId, { keyUid, version });
      return use(masterId, (masterKey) => Buffer.concat([FORMAT, masterId, wrapKey(masterKey, rootKey, context)]));
    } finally {
      rootKey.fill(0);
    }
  };
  /** With a pepper of its own. */
  const sealFresh = (masterId: Buffer, key: RootKeyVersion, material: Buffer): Buffer => {
    const pepper = newPepper();
    try {
      return sealParts(use, masterId, key, { pepper, material });
    } finally {
      pepper.fill(0);
    }
  };

  return {
    create,
    renew: async (from, version) => {
      if (!isImported(from.ref)) return create(from.keyUid, version);
      const masterId = await currentId();
      return withParts(use, from, from.ref, ({ material }) => {
        if (!material) throw materialExpired();
        return sealFresh(masterId, { keyUid: from.keyUid, version }, material);
      });
    },
    reseal: async (key) => {
      const masterId = await currentId();
      return withParts(use, key, key.ref, (parts) => sealParts(use, masterId, key, parts));
    },
    wrap: async (key, plain, context) => withRootKey(key, (rootKey) => Buffer.concat([FORMAT, wrapKey(rootKey, plain, context)])),
    unwrap: async (key, wrapped, context) =>
      withRootKey(key, (rootKey) => {
        const plain = wrapped[0] === FORMAT[0] ? unwrapKey(rootKey, wrapped.subarray(1), context) : undefined;
        if (!plain) throw corrupted('a scope key');
        return plain;
      }),
    destroy: async () => undefined,

    createImportKey: async (jobUid) => {
      const { publicKey, privateKey } = await newRsaPair();
      const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
      try {
        const sealed = sealImportKey(use, await currentId(), jobUid, pkcs8);
        return { publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(), sealed };
      } finally {
        pkcs8.fill(0);
      }
    },
    resealImportKey: async ({ jobUid, sealed }) => {
      const masterId = await currentId();
      return withImportKey(use, jobUid, sealed, (pkcs8) => sealImportKey(use, masterId, jobUid, pkcs8));
    },
    importMaterial: async ({ jobUid, sealed }, offer, to) => {
      const masterId = await currentId();
      const privateKey = withImportKey(use, jobUid, sealed, (pkcs8) => createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }));
      const material = openOffer(privateKey, offer);
      try {
        assertStrong(material);
        const again = ({ pepper }: Parts) => sealParts(use, masterId, to, { pepper, material });
        const ref = to.ref ? withParts(use, to, to.ref, again) : sealFresh(masterId, to, material);
        return { ref, checkValue: checkValueOf(material) };
      } finally {
        material.fill(0);
      }
    },
    forgetMaterial: async ({ ref }) => pepperOnly(ref),

    check: async () => masterKeys.use(await masterKeys.current(), () => undefined),
    [Symbol.asyncDispose]: async () => undefined,
  };
};
