// Replaces the key of a group, step by step: the key service makes a new version (ROTATING), every wrapped DEK moves to it
// (REWRAPPING), the old versions are destroyed (DESTROYING). Each step is one transaction that holds the rekey's row, so that one
// replica at a time makes it; it can be repeated after a crash, and no step sees a DEK.
import type { CallContext, RewrapDekRequest, RewrapDekResult } from '../gen/strongroom/keys/v1/envelope_service.ts';
import type { Transaction } from '../kernel/db.ts';
import { AppError, fromItemError } from '../kernel/errors.ts';
import { enqueue } from '../kernel/outbox.ts';
import type { OwnEvent } from './own-actions.ts';
import { keyVersionOf } from './key-version.ts';
import { groupName, versionName, type ResourceId } from './names.ts';
import {
  lockDue,
  passAgain,
  recordNewVersion,
  recordOldVersion,
  recordProgress,
  recordRekeyed,
  recordRewrapped,
  useNewVersion,
  type RekeyRow,
} from './sql/rekeys.ts';
import { holdInUse, holdSecrets, replaceWrappedDeks, selectWrappedDeks, type Replacement, type WrappedDek } from './sql/wrapped-deks.ts';
import type { Store } from './store.ts';

const BATCH = 500;
const CALL_MS = 10_000;
/** After this the new version wraps at every replica of the key service: the bound on what they have cached. */
const KNOWN_MS = 1_000;
/** Between two passes, if something did not open in the first. */
const AGAIN_MS = 10 * 60_000;

export interface Rekeying extends Pick<Store, 'db' | 'scopes' | 'scopeKeys' | 'relay'> {
  readonly ownEvent: OwnEvent;
}

// What comes from the database was parsed on its way in.
const pathOf = (r: Pick<RekeyRow, 'instance_id' | 'group_id'>) => ({
  instance: r.instance_id as ResourceId,
  group: r.group_id as ResourceId,
});
export const resourceOf = (r: Pick<RekeyRow, 'instance_id' | 'group_id'>): string => groupName(pathOf(r));
const scopeOf = (r: RekeyRow): string => `scopes/${r.group_uid}`;
const optionsOf = (r: RekeyRow) => ({ deadline: Date.now() + CALL_MS, correlationId: r.correlation_id, traceId: '' });
const contextOf = (r: RekeyRow): CallContext => ({
  principal: r.started_by,
  resource: resourceOf(r),
  correlationId: r.correlation_id,
  traceId: '',
});

const rotate = async ({ scopes, scopeKeys }: Rekeying, tx: Transaction, r: RekeyRow): Promise<void> => {
  const name = scopeOf(r);
  if (r.old_version === null) {
    const { primaryVersion } = await scopes.getScope({ name }, optionsOf(r));
    await recordOldVersion(tx, r, primaryVersion);
  } else if (r.new_version === null) {
    const request = { name, expectedVersion: r.old_version, callContext: contextOf(r) };
    const rotated = await scopeKeys.rotateScopeKey(request, optionsOf(r)).catch((error: unknown) => {
      if (error instanceof AppError && error.reason === 'ETAG_MISMATCH') return undefined;
      throw error;
    });
    await (rotated ? recordNewVersion(tx, r, rotated.primaryVersion, KNOWN_MS) : recordOldVersion(tx, r, null));
  } else await useNewVersion(tx, r, r.new_version);
};

const requestOf = (r: RekeyRow, row: WrappedDek, wrappedDek: Buffer): RewrapDekRequest => ({
  scope: scopeOf(r),
  context: { instanceUid: r.instance_uid, resourceUid: row.secret_uid, version: row.version, additionalData: Buffer.alloc(0) },
  wrappedDek,
  targetScope: '',
  callContext: { ...contextOf(r), resource: nameOf(r, row) },
});
const nameOf = (r: RekeyRow, row: WrappedDek): string => versionName({ ...pathOf(r), secret: row.secret_id as ResourceId }, row.version);

/** The fresh wrap; or why there is none: `lost` is what opens with nothing any more, `stuck` what should have opened. */
const outcomeOf = (result: RewrapDekResult | undefined): Buffer | 'lost' | 'stuck' => {
  const outcome = result?.outcome;
  if (outcome?.$case === 'response') return outcome.value.wrappedDek;
  const error = outcome ? fromItemError(outcome.value) : new AppError('KEYS_UNAVAILABLE', 'the key service gave no answer');
  if (error.reason === 'SCOPE_KEY_VERSION_DESTROYED') return 'lost';
  if (error.reason === 'CIPHERTEXT_INVALID') return 'stuck';
  throw error;
};

const rewrap = async ({ scopes }: Rekeying, tx: Transaction, r: RekeyRow): Promise<void> => {
  const rows = await selectWrappedDeks(tx, r, BATCH);
  const last = rows.at(-1);
  if (!last) return r.stuck > 0n ? passAgain(tx, r, AGAIN_MS) : recordRewrapped(tx, r);
  const old = rows.flatMap((row) =>
    row.wrapped_dek && keyVersionOf(row.wrapped_dek) < r.new_version! ? [{ row, from: row.wrapped_dek }] : [],
  );
  const fresh: (Replacement & { row: WrappedDek })[] = [];
  const stuck: WrappedDek[] = [];
  if (old.length > 0) {
    const requests = old.map(({ row, from }) => requestOf(r, row, from));
    const { results } = await scopes.batchRewrapDeks({ requests }, optionsOf(r));
    old.forEach(({ row, from }, i) => {
      const to = outcomeOf(results[i]);
      if (to === 'stuck') stuck.push(row);
      else if (to !== 'lost') fresh.push({ row, secretUid: row.secret_uid, version: row.version, from, to });
    });
  }
  // What is being purged is left to the purge, which looks for its rows where they were.
  if (!(await holdInUse(tx, r))) return;
  const held = new Set(await holdSecrets(tx, r.instance_uid, [...new Set(fresh.map(({ secretUid }) => secretUid))]));
  await replaceWrappedDeks(
    tx,
    r.instance_uid,
    fresh.filter(({ secretUid }) => held.has(secretUid)),
  );
  const progress = { secret_cursor: last.secret_id, version_cursor: last.version, looked: rows.length, stuck: stuck.length };
  await recordProgress(tx, r, progress, stuck[0] ? `${nameOf(r, stuck[0])} does not open; destroy or restore it, then this goes on` : '');
};

/** As with a purge, no key goes before the log knows of the begin. */
const destroyOld = async ({ scopes, scopeKeys, relay, ownEvent }: Rekeying, tx: Transaction, r: RekeyRow): Promise<void> => {
  await relay.flush();
  const name = scopeOf(r);
  const { livingVersions } = await scopes.getScope({ name }, optionsOf(r));
  for (const version of livingVersions.filter((living) => living < r.new_version!))
    await scopeKeys.destroyScopeKeyVersion({ name, version, callContext: contextOf(r) }, optionsOf(r));
  await recordRekeyed(tx, r);
  const attributes = { version: String(r.new_version), destroyed: String(r.old_version), count: String(r.done) };
  const facts = { instanceUid: r.instance_uid, onBehalfOf: r.started_by, correlationId: r.correlation_id, attributes };
  enqueue(tx, ownEvent('secrets.group.rekey', resourceOf(r), facts));
};

const STEPS = { ROTATING: rotate, REWRAPPING: rewrap, DESTROYING: destroyOld } as const;

/** A step that failed, and of which rekey. */
export class StepFailed extends Error {
  readonly rekey: RekeyRow;
  constructor(rekey: RekeyRow, cause: unknown) {
    super('a step of a rekey failed', { cause });
    this.rekey = rekey;
  }
}

/** Makes the step that has been due for longest. False if there is none. */
export const makeStep = (rekeying: Rekeying): Promise<boolean> =>
  rekeying.db.transaction(async (tx) => {
    rekeying.relay.assertHealthy();
    const rekey = await lockDue(tx);
    if (!rekey || rekey.state === 'DONE') return false;
    await STEPS[rekey.state](rekeying, tx, rekey).catch((error: unknown) => {
      throw new StepFailed(rekey, error);
    });
    return true;
  });
