// The key service as another service of its own uses it: a replica that lets every identity be one, and what such a one is told.
import { readFileSync } from 'node:fs';
import { configFileOf } from '../../src/dev/configs.ts';
import type { Stack } from '../../src/dev/stack.ts';
import { KeyEvent_Change, type KeyEvent } from '../../src/gen/strongroom/keys/v1/key_event_service.ts';
import { RootKey_State } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import type { Clients } from './clients.ts';
import { startReplica, type Replica } from './replica.ts';

/** Overdue after a second. */
export const openKeysToAll = (stack: Stack): Promise<Replica> => {
  const { allow } = JSON.parse(readFileSync(configFileOf(stack, 'keys'), 'utf8')) as { allow: Record<string, string[]> };
  const toAll = Object.fromEntries(Object.keys(allow).map((name) => [name, ['*']]));
  return startReplica(stack, 'keys', { allow: toAll, events: { deadline: '1s' } });
};

export interface Told {
  event: KeyEvent;
  atMs: number;
}

export interface Listener extends AsyncDisposable {
  readonly told: Told[];
}

const nameOf = (names: Readonly<Record<string, number>>, value: number): string =>
  Object.keys(names).find((name) => names[name] === value) ?? '';

export const changeOf = ({ event }: Told): string => nameOf(KeyEvent_Change, event.change);
export const stateOf = ({ event }: Told): string => nameOf(RootKey_State, event.state);

/** Listens from now on, and acknowledges nothing; resolves when the stream is open. */
export const listenTo = async (service: Clients): Promise<Listener> => {
  const told: Told[] = [];
  const leave = new AbortController();
  const open = Promise.withResolvers<void>();
  const listening = (async () => {
    for await (const { events } of service.watchKeyEvents({}, { timeoutMs: 60_000, signal: leave.signal })) {
      told.push(...events.map((event) => ({ event, atMs: performance.now() })));
      open.resolve();
    }
  })().catch((error: unknown) => open.reject(error));
  await open.promise;
  return {
    told,
    [Symbol.asyncDispose]: async () => {
      leave.abort();
      await listening;
    },
  };
};
