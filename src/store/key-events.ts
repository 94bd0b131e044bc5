// Keeps what the instances say of their root keys. An event only says that a key may have changed: how it is is asked, under a
// lock, so that events may come twice, late, out of order and to several replicas. All keys are asked for whenever the stream
// is opened, so that nothing depends on an event either, as after a restore.
import { setTimeout as delay } from 'node:timers/promises';
import type { EnvelopeServiceService } from '../gen/strongroom/keys/v1/envelope_service.ts';
import type { KeyEventServiceService } from '../gen/strongroom/keys/v1/key_event_service.ts';
import type { ClientOf } from '../kernel/client.ts';
import type { Db } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { describe, type Log } from '../kernel/log.ts';
import { newUid } from '../kernel/uid.ts';
import { keyStateOf, type KeyState } from './key-state.ts';
import { lockKeyStates, selectKeyUsers, selectRootKeys, setKeyStates, type KeyUser } from './sql/key-state.ts';

const BATCH = 1_000;
const KEYS = 200;
const CALL_MS = 5_000;
const SHORTEST_MS = 100;
const LONGEST_MS = 5_000;
const NO_UUID = '00000000-0000-0000-0000-000000000000';

interface Options {
  db: Db;
  scopes: Pick<ClientOf<typeof EnvelopeServiceService>, 'batchGetScopes'>;
  events: ClientOf<typeof KeyEventServiceService>;
  /** Called whenever the stream is opened: what was before is not known. */
  opened: () => void;
  log: Log;
}

const callOptions = () => ({ deadline: Date.now() + CALL_MS, correlationId: newUid() });

/** Of a scope that the key service does not know, nothing is concluded. */
const askFor = async ({ scopes }: Options, users: readonly KeyUser[]): Promise<{ instanceUid: string; state: KeyState }[]> => {
  const known = users.filter((user) => user.scope_uid !== null);
  if (known.length === 0) return [];
  const { results } = await scopes.batchGetScopes({ names: known.map(({ scope_uid }) => `scopes/${scope_uid}`) }, callOptions());
  return known.flatMap(({ instance_uid: instanceUid }, i) => {
    const outcome = results[i]?.outcome;
    return outcome?.$case === 'scope' ? [{ instanceUid, state: keyStateOf(outcome.value) }] : [];
  });
};

const refresh = (options: Options, rootKeys: readonly string[]): Promise<void> =>
  options.db.transaction(async (tx) => {
    await lockKeyStates(tx, rootKeys);
    for (let after = NO_UUID; ;) {
      const users = await selectKeyUsers(tx, rootKeys, after, BATCH);
      await setKeyStates(tx, await askFor(options, users));
      if (users.length < BATCH) return;
      after = users.at(-1)?.instance_uid ?? after;
    }
  });

const refreshAll = async (options: Options): Promise<void> => {
  for (let after = ''; ;) {
    const rootKeys = await selectRootKeys(options.db.read, after, KEYS);
    if (rootKeys.length > 0) await refresh(options, rootKeys);
    if (rootKeys.length < KEYS) return;
    after = rootKeys.at(-1) ?? after;
  }
};

/** Until the stream ends. An event that could not be acted on is not acknowledged, and comes again with the next stream. */
const listen = async (options: Options, signal: AbortSignal, heard: () => void): Promise<void> => {
  let first = true;
  for await (const { events } of options.events.watchKeyEvents({}, { signal })) {
    if (first) {
      options.opened();
      await refreshAll(options);
    }
    first = false;
    if (events.length > 0) {
      await refresh(options, [...new Set(events.map(({ rootKey }) => rootKey))]);
      await options.events.acknowledgeKeyEvents({ names: events.map(({ name }) => name) }, callOptions());
    }
    heard();
  }
};

/** Streams end in time: by age, or because a process stops. */
const isPlanned = (error: unknown): boolean =>
  error instanceof AppError && (error.reason === 'STREAM_CLOSED' || error.reason === 'DEADLINE_EXCEEDED');

export const openKeyEvents = (options: Options): AsyncDisposable => {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = (async () => {
    for (let failures = 0; !signal.aborted;) {
      await listen(options, signal, () => (failures = 0)).catch((error: unknown) => {
        if (failures++ === 0 && !signal.aborted && !isPlanned(error))
          options.log.warn({ error: describe(error) }, 'root keys are not being watched; trying again');
      });
      const pause = Math.min(LONGEST_MS, SHORTEST_MS * 2 ** failures) * (0.75 + Math.random() / 4);
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
