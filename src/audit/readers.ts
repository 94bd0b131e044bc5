// Who reads what of the log. Auditors of the configuration read all of it; the auditor of an instance reads what belongs to it.
// This process cannot look into the secret store: it learns of bindings as anybody does, from the entries in its own log, and
// follows them before it decides, so that a change counts for the next call after its entry is there.
import type { Db } from '../kernel/db.ts';
import { denied } from '../kernel/errors.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import type { Authorize, Call, Resource } from '../kernel/table.ts';
import { eventOfLeaf } from './event.ts';
import {
  addAuditor,
  lockAuditors,
  removeAuditor,
  removeInstance,
  selectInstancesOf,
  selectUnfollowed,
  setNextIndex,
  type BindingEntry,
} from './sql/auditors.ts';

const PAGE = 1_000;
const [CREATE, DELETE, PURGE] = ['secrets.binding.create', 'secrets.binding.delete', 'secrets.instance.purge'] as const;
const ACTIONS = [CREATE, DELETE, PURGE];

/** Whose entries are believed. */
export interface Sources {
  /** The secret store, which has the bindings. */
  readonly store: SpiffeId;
  /** The worker, which ends an instance with all that was bound to it. */
  readonly worker: SpiffeId;
}

export interface Readers {
  /** The instances whose entries this caller may see; undefined: all of the log. Throws PERMISSION_DENIED if there are none. */
  sees(call: Pick<Call, 'principal' | 'method' | 'action'>): Promise<readonly string[] | undefined>;
}

/** What a row of the table that is open to auditors of instances says of its resource; of the others, the allowlist is all. */
export interface Guarded extends Resource {
  readonly forReaders?: true;
  /** For who reads all of the log, and nobody else, whatever the allowlist says. */
  readonly forWholeLog?: true;
}

const apply = async (tx: Parameters<typeof addAuditor>[0], { source, leaf }: BindingEntry, { store, worker }: Sources): Promise<void> => {
  const { action, instanceUid, attributes } = eventOfLeaf(leaf);
  if (instanceUid === '') return;
  if (action === PURGE && source === worker) await removeInstance(tx, instanceUid);
  const principal = attributes.get('principal') ?? '';
  if (source !== store || attributes.get('role') !== 'AUDITOR' || principal === '') return;
  if (action === CREATE) await addAuditor(tx, principal, instanceUid);
  if (action === DELETE) await removeAuditor(tx, principal, instanceUid);
};

/** Brings the table of auditors up to the newest entry. To be called before bodies of entries are removed, too. */
export const followBindings = async (db: Db, sources: Sources): Promise<void> => {
  for (let more = (await selectUnfollowed(db.read, ACTIONS, 1)).length > 0; more;) {
    more = await db.transaction(async (tx) => {
      await lockAuditors(tx);
      const rows = await selectUnfollowed(tx, ACTIONS, PAGE);
      for (const row of rows) await apply(tx, row, sources);
      const last = rows.at(-1);
      if (last) await setNextIndex(tx, last.index + 1n);
      return rows.length === PAGE;
    });
  }
};

/** `reads` says whom the configuration lets call this method on the whole log. */
export const openReaders = (db: Db, sources: Sources | undefined, reads: (method: string, principal: SpiffeId) => boolean): Readers => ({
  sees: async ({ principal, method, action }) => {
    if (reads(method, principal)) return undefined;
    if (!sources) throw denied(action, 'log');
    await followBindings(db, sources);
    const instances = await selectInstancesOf(db.read, principal);
    if (instances.length === 0) throw denied(action, 'log');
    return instances;
  },
});

export const authorizeReaders =
  (readers: Readers): Authorize =>
  async (call, resource) => {
    const { forReaders, forWholeLog } = resource as Guarded;
    if (!forReaders && !forWholeLog) return;
    const instances = await readers.sees(call);
    if (forWholeLog && instances !== undefined) throw denied(call.action, 'log');
  };

/** What of that a request asks for. An instance that the caller may not see is like one that is not there: nothing is found. */
export const within = (seen: readonly string[] | undefined, instanceUid: string): readonly string[] | undefined => {
  if (instanceUid === '') return seen;
  return seen === undefined || seen.includes(instanceUid) ? [instanceUid] : [];
};
