// Plain scope keys, all living versions of a scope together, held so that the backend is asked once for each scope and not once
// for each DEK. They may be used only while the epoch of the database vouches for them, and not longer than imported material above
// them lasts: a key that was destroyed is of no use anywhere within half a second, and one that has expired from that moment on.
import { randomBytes } from 'node:crypto';
import type { Db } from '../kernel/db.ts';
import { openEpochCache } from '../kernel/epoch-cache.ts';
import { tooSlow } from '../kernel/epoch.ts';
import { AppError, notFound } from '../kernel/errors.ts';
import { metrics } from '../kernel/metrics.ts';
import type { Call } from '../kernel/table.ts';
import type { KeyBackend, RootKeyRef } from './backend.ts';
import type { ScopeKey } from './dek.ts';
import { materialExpired } from './imported.ts';
import { notGranted } from './in-use.ts';
import { rootKeyName, scopeName } from './names.ts';
import { selectLiving } from './sql/scope-versions.ts';
import { selectScope } from './sql/scopes.ts';
import type { VersionUse } from './sql/versions.ts';
import { assertAllows } from './state.ts';
import type { CountUse } from './usage.ts';
import { contextOf, KEY_BYTES, u32, uuidBytes } from './wrap.ts';

const LOAD_MS = 5_000;

const UUID_LENGTH = 36;

/** What a key is lent for. */
export interface Need {
  readonly operation: 'wrap' | 'unwrap' | 'rewrap';
  /** One that must be known: another replica may just have made it. */
  readonly version: number;
}

interface Held extends ScopeKey {
  readonly instanceUid: string;
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
 * Lends the key of a scope that the caller has registered to `use`, which must not keep it. Errors: NOT_FOUND, SCOPE_DESTROYED,
 * KEY_NOT_GRANTED, KEY_MATERIAL_EXPIRED, those of the root key's state, UNAVAILABLE.
 */
export type Lend = <T>(scopeUid: string, need: Need, use: (key: ScopeKey, instanceUid: string) => T) => Promise<T>;

/** A version of a scope's key. */
export interface ScopeKeyVersion {
  scopeUid: string;
  instanceUid: string;
  version: number;
}

/** What a wrapped scope key is bound to: the root key's uid and version, the scope's and the instance's uid, its own version. */
const contextOfScope = (scope: ScopeKeyVersion, { keyUid, version }: RootKeyRef): Buffer =>
  contextOf(
    'strongroom/scope/v2',
    uuidBytes(keyUid),
    u32(version),
    uuidBytes(scope.scopeUid),
    uuidBytes(scope.instanceUid),
    u32(scope.version),
  );

/** A new scope key, which leaves this function only wrapped. */
export const wrapNewScopeKey = async (
  backend: KeyBackend,
  rootKey: RootKeyRef,
  scope: ScopeKeyVersion,
  deadline: number,
): Promise<Buffer> => {
  const key = randomBytes(KEY_BYTES);
  try {
    return await backend.wrap(rootKey, key, contextOfScope(scope, rootKey), deadline);
  } finally {
    key.fill(0);
  }
};

/** A scope key under another version of its root key; it leaves this function only wrapped. */
export const rewrapScopeKey = async (
  backend: KeyBackend,
  scope: ScopeKeyVersion & { from: RootKeyRef; to: RootKeyRef; wrapped: Buffer },
  deadline: number,
): Promise<Buffer> => {
  const context = (rootKey: RootKeyRef) => contextOfScope(scope, rootKey);
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

export interface ScopeKeysOptions {
  db: Db;
  backend: KeyBackend;
  epochs: DatabaseEpoch;
  used: (use: VersionUse) => void;
  counted: CountUse;
  /** Scopes at most. */
  max: number;
}

export const openScopeKeys = ({ db, backend, epochs, used, counted, max }: ScopeKeysOptions): ScopeKeys => {
  const load = async (entry: string): Promise<Held> => {
    metrics.keyCache.inc({ result: 'miss' });
    // To any other service it does not exist.
    const [scopeUid, service] = [entry.slice(0, UUID_LENGTH), entry.slice(UUID_LENGTH)];
    // From before the question: what the database then says is left of a time is too short rather than too long.
    const askedAt = performance.now();
    const [row, versions] = await Promise.all([selectScope(db.read, scopeUid), selectLiving(db.read, scopeUid)]);
    if (!row || row.service !== service) throw notFound('scope', scopeName(scopeUid));
    if (row.destroy_time) throw scopeDestroyed(scopeUid);
    const name = rootKeyName({ keyRing: row.key_ring, key: row.key_id });
    assertAllows(name, row.key_state, 'unwrap');
    if (!row.granted) throw notGranted(name);
    const { instance_uid: instanceUid, primary_version: primary } = row;
    const living: { version: number; key: Buffer }[] = [];
    let usableUntil = Infinity;
    for (const { version, wrapped_key: wrapped, key_version, ref, is_expired, material_expires_ms } of versions) {
      if (!ref) throw new AppError('DATA_CORRUPTED', `${scopeName(scopeUid)} is under a version of ${name} that was destroyed`);
      if (is_expired) throw materialExpired(name);
      const rootKey = { keyUid: row.key_uid, version: key_version, ref };
      used(rootKey);
      const context = contextOfScope({ scopeUid, instanceUid, version }, rootKey);
      living.push({ version, key: await backend.unwrap(rootKey, wrapped, context, Date.now() + LOAD_MS) });
      usableUntil = Math.min(usableUntil, askedAt + (material_expires_ms ?? Infinity));
    }
    const wrapsUntil = askedAt + (row.expires_ms ?? Infinity);
    return { instanceUid, primary, living, wrapsUntil, usableUntil, rootKey: name, wiped: false };
  };
  const wipe = (scope: Held): void => {
    for (const { key } of scope.living) key.fill(0);
    scope.wiped = true;
  };
  const cache = openEpochCache({ queryEpoch: () => epochs.askEpoch(), load, max, drop: wipe });

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
      return async (scopeUid, { operation, version }, use) => {
        const entry = scopeUid + call.principal;
        for (let looked = false; ;) {
          const loading = cache.get(entry);
          const scope = await loading;
          const now = performance.now();
          if (now >= scope.wrapsUntil) assertAllows(scope.rootKey, 'EXPIRED', operation);
          // Between the load and this line another call may have seen the epoch move.
          if (scope.wiped) continue;
          const isUsable = now < scope.usableUntil;
          if (isUsable && (looked || version <= scope.primary)) {
            usableUntil = Math.min(usableUntil, scope.usableUntil);
            const result = use(scope, scope.instanceUid);
            counted(scopeUid, operation, now);
            return result;
          }
          // Loaded again it is refused, or has its material back, or a version that another replica has just made.
          cache.forget(entry, loading);
          looked = isUsable;
        }
      };
    },
  };
};
