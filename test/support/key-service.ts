// Replicas of the key service without its network: real tables in a database of their own, a real folder of master keys, and
// an audit log that keeps what it is told.
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { ROOT, spiffeIdOf } from '../../src/dev/stack.ts';
import { Scope } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import type { Auditor, Event } from '../../src/kernel/audit.ts';
import type { Db } from '../../src/kernel/db.ts';
import { FACTS, type Fact } from '../../src/kernel/facts.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';
import { openRelay } from '../../src/kernel/outbox.ts';
import { pageTokens } from '../../src/kernel/page.ts';
import type { Call } from '../../src/kernel/table.ts';
import { openChores } from '../../src/keys/chores.ts';
import { unwrapDek, wrapDek } from '../../src/keys/dek.ts';
import { openEpochs, type EpochOptions } from '../../src/keys/epochs.ts';
import { openKeyEvents } from '../../src/keys/key-events.ts';
import { expiryChore } from '../../src/keys/expiry.ts';
import { openKeyFiles, type KeyFiles } from '../../src/keys/key-files.ts';
import type { Keys } from '../../src/keys/keys.ts';
import { openMasterKeys } from '../../src/keys/master-keys.ts';
import { openOwnEvents } from '../../src/kernel/own-event.ts';
import { createRootKey } from '../../src/keys/rpc/create-root-key.ts';
import { createScope } from '../../src/keys/rpc/create-scope.ts';
import { openScopeKeys } from '../../src/keys/scope-keys.ts';
import { tryChore } from '../../src/keys/sql/chores.ts';
import { selectEpoch } from '../../src/keys/sql/scopes.ts';
import { OWN_ACTIONS } from '../../src/keys/own-actions.ts';
import { openSoftBackend } from '../../src/keys/soft.ts';
import { visibilityOf } from '../../src/keys/visibility.ts';
import { scratchDatabase, silentLog, type Scratch } from '../integration/scratch.ts';

const self = parseSpiffeId(spiffeIdOf('keys'))!;
const DEK = Buffer.alloc(32, 7);

/** Enough of a call for a handler. */
export const callOf = (action: string): Call => {
  const call = {
    principal: self,
    method: '',
    action,
    resource: '',
    row: { action, audit: 'write', facts: Object.keys(FACTS) as Fact[] } as const,
    credentialId: '',
    correlationId: randomUUID(),
    traceparent: '',
    traceId: '',
    sourceAddress: '',
    deadline: Date.now() + 10_000,
    signal: new AbortController().signal,
    facts: {},
    annotate: (facts: object) => void (call.facts = { ...call.facts, ...facts }),
    entries: () => undefined,
    guard: () => undefined,
  };
  return call;
};

export interface ReplicaOptions {
  keepForMs?: number;
  rotateEveryMs?: number | null;
  db?: Db;
  files?: KeyFiles;
}

export interface Replica extends AsyncDisposable {
  readonly keys: Keys;
  readonly options: EpochOptions;
  /** Forgets what has expired, unless another replica is at it. */
  expire(): Promise<void>;
  newRootKey(): Promise<{ name: string; owner: string }>;
  newScope(rootKey: { name: string; owner: string }): Promise<Sealed>;
  /** Whether what was sealed under the scope opens, past every cache. */
  opens(sealed: Sealed): Promise<boolean>;
}

/** A data key, wrapped by the key of a scope. */
export interface Sealed {
  scope: Scope;
  wrappedDek: Buffer;
}

export interface KeyDatabase extends AsyncDisposable {
  readonly scratch: Scratch;
  readonly dir: string;
  readonly told: Event[];
  open(options?: ReplicaOptions): Promise<Replica>;
}

const placeOf = ({ name, instanceUid }: Scope) => ({
  scopeUid: name.slice('scopes/'.length),
  instanceUid,
  resourceUid: instanceUid,
  version: 1,
  additionalData: Buffer.alloc(0),
});

const openReplica = async (database: KeyDatabase, options: ReplicaOptions): Promise<Replica> => {
  const { scratch, told, dir } = database;
  const { keepForMs = 0, rotateEveryMs = null, db = scratch.open(), files = openKeyFiles(dir) } = options;
  await using stack = new AsyncDisposableStack();
  const ownEvent = openOwnEvents(self, OWN_ACTIONS);
  const masterKeys = stack.use(await openMasterKeys(db, files, ownEvent));
  const backend = openSoftBackend(masterKeys);
  const auditor: Auditor = {
    append: async (events) => events.map((event) => BigInt(told.push(event) - 1)),
  };
  const relay = stack.use(openRelay(db, auditor, silentLog));
  const schedule = { rotateEveryMs, keepForMs };
  const epochOptions: EpochOptions = { keys: { db, backend, relay }, masterKeys, files, ownEvent, ...schedule, log: silentLog };
  const epochs = stack.use(openEpochs(epochOptions));
  const ignore = (): void => undefined;
  const epochsOf = { askEpoch: () => selectEpoch(db.read), raised: ignore };
  const openKeys = () => openScopeKeys({ db, backend, epochs: epochsOf, used: ignore, counted: ignore, max: 1_000 });
  const expiry = expiryChore(db, backend, ownEvent);
  const keys: Keys = {
    db,
    backend,
    relay,
    files,
    epochs,
    schedule,
    scopeKeys: openKeys(),
    chores: stack.use(openChores({ db, relay, log: silentLog, chores: [] })),
    events: openKeyEvents(ignore),
    pages: pageTokens(randomBytes(32)),
    provisioners: [self],
    rotationMinimumSeconds: 1,
    revoked: () => undefined,
    isVisible: visibilityOf({}),
  };
  const disposer = stack.move();

  return {
    keys,
    options: epochOptions,
    expire: () =>
      db.transaction(async (tx) => {
        if (await tryChore(tx, expiry.name)) await expiry.run(tx);
      }),
    newRootKey: async () => {
      const owner = randomUUID();
      const request = { parent: 'keyRings/provider', rootKeyId: owner, owner, correlationId: '', rootKey: undefined };
      return { name: (await createRootKey(keys, request, callOf('keys.rootkey.create'))).name, owner };
    },
    newScope: async ({ name: rootKey, owner: instanceUid }) => {
      const request = { scopeUid: randomUUID(), rootKey, instanceUid, instance: 'instances/a', callContext: undefined };
      const scope = await createScope(keys, request, callOf('keys.scope.create'));
      const place = placeOf(scope);
      const lend = await keys.scopeKeys.confirm(callOf('keys.dek.generate'));
      const need = { operation: 'wrap', version: 1 } as const;
      return { scope, wrappedDek: await lend(place.scopeUid, need, (key) => wrapDek(key, DEK, place)) };
    },
    opens: async ({ scope, wrappedDek }) => {
      const place = placeOf(scope);
      const lend = await openKeys().confirm(callOf('keys.dek.unwrap'));
      return lend(place.scopeUid, { operation: 'unwrap', version: 1 }, (key) => unwrapDek(key, wrappedDek, place).equals(DEK));
    },
    [Symbol.asyncDispose]: () => disposer[Symbol.asyncDispose](),
  };
};

export const newKeyDatabase = async (): Promise<KeyDatabase> => {
  const scratch = await scratchDatabase(inject('stack'), join(ROOT, 'src/keys/migrations'));
  const dir = mkdtempSync(join(tmpdir(), 'strongroom-keys-'));
  const opened: Replica[] = [];
  const database: KeyDatabase = {
    scratch,
    dir,
    told: [],
    open: async (options = {}) => {
      const replica = await openReplica(database, options);
      opened.push(replica);
      return replica;
    },
    [Symbol.asyncDispose]: async () => {
      for (const replica of opened) await replica[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return database;
};
