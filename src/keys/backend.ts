// Where root keys live. The service knows a key by its uid and version and by a reference that means something to its
// backend alone: a sealed key (soft), an object's id (a token), a customer's key name (external). Keys go in and out of a
// backend only wrapped; what it wraps are scope keys, so it is asked once for each scope, not for each DEK.
import type { Offer } from './material.ts';

export interface RootKeyVersion {
  keyUid: string;
  version: number;
}

/** A version of a root key. */
export interface RootKeyRef extends RootKeyVersion {
  /** Opaque; kept by the service, given back to the backend. */
  ref: Buffer;
}

/** The private key of an import job. */
export interface ImportKeyRef {
  jobUid: string;
  /** Opaque, as the reference of a root key. */
  sealed: Buffer;
}

export interface KeyBackend extends AsyncDisposable {
  /** Makes a key and returns its reference. A backend that keeps keys itself first looks for one of this uid and version. */
  create(keyUid: string, version: number, deadline: number): Promise<Buffer>;
  /**
   * Makes a version that opens nothing of what `from` has wrapped, and answers its reference: of new material, or of the same
   * where that is imported. Rejects with KEY_MATERIAL_EXPIRED.
   */
  renew(from: RootKeyRef, version: number, deadline: number): Promise<Buffer>;
  /** What is left of an imported version, under the current master key: it cannot be renewed while its material is away. */
  reseal(key: RootKeyRef, deadline: number): Promise<Buffer>;
  /**
   * Wraps 32 bytes, bound to `context`: as additional data, or by whatever else the backend can do. The IV is the
   * backend's own; the result begins with a format byte. Rejects with KEY_MATERIAL_EXPIRED.
   */
  wrap(key: RootKeyRef, plain: Buffer, context: Buffer, deadline: number): Promise<Buffer>;
  /** Rejects with DATA_CORRUPTED if it does not open, KEY_MATERIAL_EXPIRED, KEYS_UNAVAILABLE if the backend is out of reach. */
  unwrap(key: RootKeyRef, wrapped: Buffer, context: Buffer, deadline: number): Promise<Buffer>;
  /** Destroys the material; destroying what is not there is no error. After it the service forgets the reference too. */
  destroy(key: RootKeyRef, deadline: number): Promise<void>;

  /** Makes the pair of an import job; the private half stays. The public one is PEM. */
  createImportKey(jobUid: string, deadline: number): Promise<{ publicKey: string; sealed: Buffer }>;
  /** The same private key under the current master key. */
  resealImportKey(key: ImportKeyRef, deadline: number): Promise<Buffer>;
  /**
   * Takes material in, as the version `to`; with a `ref`, as the same version again. Answers the reference and the check value
   * of the material. Rejects with IMPORT_REJECTED, WEAK_KEY_MATERIAL.
   */
  importMaterial(
    key: ImportKeyRef,
    offer: Offer,
    to: RootKeyVersion & { ref?: Buffer },
    deadline: number,
  ): Promise<{ ref: Buffer; checkValue: Buffer }>;
  /** Destroys imported material, and answers the reference to what is left, to which the same material can be imported again. */
  forgetMaterial(key: RootKeyRef, deadline: number): Promise<Buffer>;

  /** Rejects while the backend cannot do its work. */
  check(): Promise<void>;
}
