import type { WatchKeyEventsRequest, WatchKeyEventsResponse } from '../../gen/strongroom/keys/v1/key_event_service.ts';
import type { Call } from '../../kernel/table.ts';
import type { Keys } from '../keys.ts';
import { toKeyEvent } from '../messages.ts';
import { selectWaiting } from '../sql/key-events.ts';

/** For what other replicas have made. */
const EVERY_MS = 500;
const MAX_WAITING = 1_000;

/** What is sent and not acknowledged takes the places of what could follow, so that a caller who does not keep up is sent no more. */
export async function* watchKeyEvents(
  keys: Keys,
  _: WatchKeyEventsRequest,
  { principal, signal }: Call,
): AsyncGenerator<WatchKeyEventsResponse> {
  let sent = new Set<string>();
  for (let first = true; !signal.aborted; first = false) {
    const waiting = await selectWaiting(keys.db.read, principal, MAX_WAITING);
    const news = waiting.filter(({ event_uid }) => !sent.has(event_uid));
    sent = new Set(waiting.map(({ event_uid }) => event_uid));
    if (first || news.length > 0) yield { events: news.map(toKeyEvent) };
    await keys.events.wait(EVERY_MS, signal);
  }
}
