// After a restore of the store's database: groups whose key the key service has destroyed are found and purged, at the
// start and every 10 minutes. Nobody tells us of a restore, so this is a timer. Replicas may look at once.
import { setTimeout as delay } from 'node:timers/promises';
import { Scope_State } from '../gen/strongroom/keys/v1/envelope_service.ts';
import { RootKey_State } from '../gen/strongroom/keys/v1/key_service.ts';
import type { Event } from '../kernel/audit.ts';
import { describe } from '../kernel/log.ts';
import { metrics } from '../kernel/metrics.ts';
import { newUid } from '../kernel/uid.ts';
import { scheduleLost, selectGroups, type GroupKey } from '../store/sql/purge-restored.ts';
import { NO_UUID } from '../store/sql/purge.ts';
import { isProviderManaged, type Worker } from './worker.ts';

const EVERY_MS = 10 * 60_000;
/** After a failure: what was out of reach may be back. */
const AGAIN_MS = 10_000;
const BATCH = 1_000;
const CALL_MS = 10_000;

type Group = GroupKey & { root_key: string };
type Found = { kind: 'INSTANCE' | 'GROUP' } & GroupKey;

const callOptions = () => ({ deadline: Date.now() + CALL_MS, correlationId: newUid() });

/** Those whose key is destroyed. Of a scope that the key service does not know nobody says that its key is gone. */
const withoutKey = async ({ scopes }: Worker, groups: readonly Group[]): Promise<Group[]> => {
  const { results } = await scopes.batchGetScopes({ names: groups.map(({ group_uid }) => `scopes/${group_uid}`) }, callOptions());
  return groups.filter((_, i) => {
    const outcome = results[i]?.outcome;
    return outcome?.$case === 'scope' && outcome.value.state === Scope_State.DESTROYED;
  });
};

const entryOf = ({ ownEvent }: Worker, { kind, ...key }: Found, resource: string): Event => {
  const uid = kind === 'GROUP' ? key.group_uid : key.instance_uid;
  return ownEvent(kind === 'GROUP' ? 'secrets.group.delete' : 'secrets.instance.delete', resource, {
    instanceUid: key.instance_uid,
    correlationId: uid,
    attributes: { purge: `purges/${uid}`, cause: 'its key was destroyed before: this database was restored' },
  });
};

/** The entry is durable before the purge is scheduled. Who is interrupted in between leaves a second one. */
const schedule = (worker: Worker, found: Found): Promise<void> =>
  worker.db.transaction(async (tx) => {
    const groupUid = found.kind === 'GROUP' ? found.group_uid : null;
    const resource = await scheduleLost(tx, found.kind, found.instance_uid, groupUid, worker.principal);
    if (resource === undefined) return;
    await worker.auditor.append([entryOf(worker, found, resource)], Date.now() + CALL_MS);
    metrics.purges.inc({ result: 'restored' });
    worker.log.warn({ resource }, 'its key was destroyed before, so this database was restored; it is purged again');
  });

/** Where the root key is gone as well, or the instance is not registered with its customer's key any more, it was purged, and goes whole. */
const isInstanceGone = async ({ keys, scopes }: Worker, { root_key: name, instance_uid }: Group): Promise<boolean> =>
  isProviderManaged(name)
    ? (await keys.getRootKey({ name }, callOptions())).state === RootKey_State.DESTROYED
    : (await scopes.getScope({ name: `scopes/${instance_uid}` }, callOptions())).state === Scope_State.DESTROYED;

export const reconcile = async (worker: Worker, signal: AbortSignal): Promise<void> => {
  const instances = new Map<string, Promise<boolean>>();
  for (let after: GroupKey = { instance_uid: NO_UUID, group_uid: NO_UUID }; ;) {
    const groups = await selectGroups(worker.db.read, after, BATCH);
    const last = groups.at(-1);
    if (!last) return;
    for (const group of await withoutKey(worker, groups)) {
      signal.throwIfAborted();
      const known = instances.get(group.instance_uid) ?? isInstanceGone(worker, group);
      instances.set(group.instance_uid, known);
      await schedule(worker, { ...group, kind: (await known) ? 'INSTANCE' : 'GROUP' });
    }
    if (groups.length < BATCH) return;
    after = last;
  }
};

export const openReconcile = (worker: Worker): AsyncDisposable => {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = (async () => {
    while (!signal.aborted) {
      const pause = await reconcile(worker, signal).then(
        () => EVERY_MS,
        (error: unknown) => {
          if (!signal.aborted) worker.log.warn({ error: describe(error) }, 'restored rows could not be looked for; trying again');
          return AGAIN_MS;
        },
      );
      await delay(pause, undefined, { signal }).catch(() => undefined);
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await running;
    },
  };
};
