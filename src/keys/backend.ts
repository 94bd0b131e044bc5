// Where root keys live. The service knows a key by its uid and version and by a reference that means something to its
// backend alone: a sealed key (soft), an object's id (a token), a customer's key name (external). Keys go in and out of a
// backend only wrapped; what it wraps are scope keys, so it is asked once for each scope, not for each DEK.

/** A version of a root key. */
export interface RootKeyRef {
  keyUid: string;
  version: number;
  /** Opaque; kept by the service, given back to the backend. */
  ref: Buffer;
}

export interface KeyBackend extends AsyncDisposable {
  /** Makes a key and returns its reference. A backend that keeps keys itself first looks for one of this uid and version. */
  create(keyUid: string, version: number, deadline: number): Promise<Buffer>;
  /**
   * Wraps 32 bytes, bound to `context`: as additional data, or by whatever else the backend can do. The IV is the
   * backend's own; the result begins with a format byte.
   */
  wrap(key: RootKeyRef, plain: Buffer, context: Buffer, deadline: number): Promise<Buffer>;
  /** Rejects with DATA_CORRUPTED if it does not open, KEYS_UNAVAILABLE if the backend is out of reach. */
  unwrap(key: RootKeyRef, wrapped: Buffer, context: Buffer, deadline: number): Promise<Buffer>;
  /** Destroys the material; destroying what is not there is no error. After it the service forgets the reference too. */
  destroy(key: RootKeyRef, deadline: number): Promise<void>;
  /** Rejects while the backend cannot do its work. */
  check(): Promise<void>;
}
