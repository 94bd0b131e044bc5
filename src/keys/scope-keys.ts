// Plain scope keys, held so that the backend is asked once for each scope and not once for each DEK. One may be used only
// while the epoch of the database vouches for it, and not longer than imported material above it lasts: a key that was
// destroyed is of no use anywhere within half a second, and one that has expired from that moment on.
import { randomBytes } from 'node:crypto';
import type { Db } from '../kernel/db.ts';
import { openEpochCache } from '../kernel/epoch-cache.ts';
import { tooSlow } from '../kernel/epoch.ts';
import { AppError, notFound } from '../kernel/errors.ts';
import { metrics } from '../kernel/metrics.ts';
import type { Call } from '../kernel/table.ts';
import type { KeyBackend, RootKeyRef } from './backend.ts';
import { materialExpired } from './imported.ts';
import { notGranted } from './in-use.ts';
import { rootKeyName, scopeName } from './names.ts';
import { selectScope } from './sql/scopes.ts';
import type { VersionUse } from './sql/versions.ts';
import { assertAllows } from './state.ts';
import type { CountUse } from './usage.ts';
import { contextOf, KEY_BYTES, u32, uuidBytes } from './wrap.ts';

const MAX_SCOPES = 100_000;
const LOAD_MS = 5_000;

interface ScopeKey {
  readonly instanceUid: string;
  readonly key: Buffer;
  /** Monotonic: when the root key expires, after which the key only unwraps. */
  readonly wrapsUntil: number;
  /** Monotonic: when imported material above it expires, after which the key is of no use. */
  readonly usableUntil: number;
  readonly rootKey: string;
  wiped: boolean;
}

/** The epoch of the database, which everything that takes a key away raises. */
export interface DatabaseEpoch {
  askEpoch(): Promise<bigint>;
  raised(epoch: bigint): void;
}

export interface ScopeKeys {
  /** After a destruction made here: from the next call on, nothing that was destroyed is of use in this process. */
  raised(epoch: bigint): void;
  /** To be awaited once in each call that uses keys: refuses the reply if the keys that were lent stop being of use meanwhile. */
  confirm(call: Call): Promise<Lend>;
}

/**
 * Lends the key to `use`, which must not keep it. Errors: NOT_FOUND, SCOPE_DESTROYED, KEY_NOT_GRANTED, KEY_MATERIAL_EXPIRED, those of
 * the root key's state, UNAVAILABLE.
 */
export type Lend = <T>(
  scopeUid: string,
  operation: 'wrap' | 'unwrap' | 'rewrap',
  use: (key: Buffer, instanceUid: string) => T,
) => Promise<T>;

/** What a wrapped scope key is bound to: the root key's uid and version, the scope's and the instance's uid. */
const contextOfScope = (scopeUid: string, instanceUid: string, { keyUid, version }: RootKeyRef): Buffer =>
  contextOf('strongroom/scope/v1', uuidBytes(keyUid), u32(version), uuidBytes(scopeUid), uuidBytes(instanceUid));

/** A new scope key, which leaves this function only wrapped. */
export const wrapNewScopeKey = async (
  backend: KeyBackend,
  rootKey: RootKeyRef,
  scopeUid: string,
  instanceUid: string,
  deadline: number,
): Promise<Buffer> => {
  const key = randomBytes(KEY_BYTES);
  try {
    return await backend.wrap(rootKey, key, contextOfScope(scopeUid, instanceUid, rootKey), deadline);
  } finally {
    key.fill(0);
  }
};

/** A scope key under another version of its root key; it leaves this function only wrapped. */
export const rewrapScopeKey = async (
  backend: KeyBackend,
  scope: { from: RootKeyRef; to: RootKeyRef; scopeUid: string; instanceUid: string; wrapped: Buffer },
  deadline: number,
): Promise<Buffer> => {
  const context = (rootKey: RootKeyRef) => contextOfScope(scope.scopeUid, scope.instanceUid, rootKey);
  const key = await backend.unwrap(scope.from, scope.wrapped, context(scope.from), deadline);
  try {
    return await backend.wrap(scope.to, key, context(scope.to), deadline);
  } finally {
    key.fill(0);
  }
};

export const scopeDestroyed = (scopeUid: string): AppError =>
  new AppError('SCOPE_DESTROYED', `the key of ${scopeName(scopeUid)} was destroyed; what it protected is gone for ever`, {
    metadata: { scope: scopeName(scopeUid) },
  });

export const openScopeKeys = (
  db: Db,
  backend: KeyBackend,
  epochs: DatabaseEpoch,
  used: (use: VersionUse) => void,
  counted: CountUse,
): ScopeKeys => {
  const load = async (scopeUid: string): Promise<ScopeKey> => {
    metrics.keyCache.inc({ result: 'miss' });
    // From before the question: what the database then says is left of a time is too short rather than too long.
    const askedAt = performance.now();
    const row = await selectScope(db.read, scopeUid);
    if (!row) throw notFound('scope', scopeName(scopeUid));
    if (!row.wrapped_key) throw scopeDestroyed(scopeUid);
    const name = rootKeyName({ keyRing: row.key_ring, key: row.key_id });
    assertAllows(name, row.key_state, 'unwrap');
    if (!row.ref) throw new AppError('DATA_CORRUPTED', `${scopeName(scopeUid)} is under a version of ${name} that was destroyed`);
    if (!row.granted) throw notGranted(name);
    if (row.is_expired) throw materialExpired(name);
    const rootKey = { keyUid: row.key_uid, version: row.key_version, ref: row.ref };
    used(rootKey);
    const context = contextOfScope(scopeUid, row.instance_uid, rootKey);
    const key = await backend.unwrap(rootKey, row.wrapped_key, context, Date.now() + LOAD_MS);
    const wrapsUntil = askedAt + (row.expires_ms ?? Infinity);
    const usableUntil = askedAt + (row.material_expires_ms ?? Infinity);
    return { instanceUid: row.instance_uid, key, wrapsUntil, usableUntil, rootKey: name, wiped: false };
  };
  const wipe = (scope: ScopeKey): void => {
    scope.key.fill(0);
    scope.wiped = true;
  };
  const cache = openEpochCache({ queryEpoch: () => epochs.askEpoch(), load, max: MAX_SCOPES, drop: wipe });

  return {
    raised: (epoch) => {
      epochs.raised(epoch);
      cache.expire();
    },
    confirm: async (call) => {
      const lease = await cache.confirm();
      let usableUntil = Infinity;
      call.guard(async () => {
        if (!lease()) {
          // The call took long. If nothing has changed since, the keys are still what they were.
          await cache.confirm();
          if (!lease()) throw tooSlow();
        }
        if (performance.now() >= usableUntil) throw materialExpired();
      });
      return async (scopeUid, operation, use) => {
        for (;;) {
          const scope = await cache.get(scopeUid);
          const now = performance.now();
          if (now >= scope.wrapsUntil) assertAllows(scope.rootKey, 'EXPIRED', operation);
          // Between the load and this line another call may have seen the epoch move.
          if (scope.wiped) continue;
          if (now < scope.usableUntil) {
            usableUntil = Math.min(usableUntil, scope.usableUntil);
            const result = use(scope.key, scope.instanceUid);
            counted(scopeUid, operation, now);
            return result;
          }
          // Loaded again it is refused, or has its material back.
          cache.forget(scopeUid);
        }
      };
    },
  };
};
