// Watches a row for a stream: looks again and again, since what changes does so more often than anybody wants to hear; all who
// watch look together (lookout.ts).
import { setTimeout as sleep } from 'node:timers/promises';

/** Between two looks: at what changes, and at most, at what only waits. */
const SHORTEST_MS = 100;
const LONGEST_MS = 1_000;

interface Watched<Row, Message> {
  /** Throws if the row is not there any more. */
  look: () => Promise<Row>;
  /** What of it is worth a message when it has changed. */
  newsOf: (row: Row) => object;
  toMessage: (row: Row) => Message;
  isLast: (message: Message) => boolean;
}

export async function* watchRow<Row, Message>(watched: Watched<Row, Message>, signal: AbortSignal): AsyncGenerator<Message> {
  let told = '';
  for (let waitMs = SHORTEST_MS; !signal.aborted;) {
    const row = await watched.look();
    const message = watched.toMessage(row);
    const news = JSON.stringify(watched.newsOf(row), (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
    if (news === told) waitMs = Math.min(LONGEST_MS, waitMs * 1.5);
    else {
      yield message;
      [told, waitMs] = [news, SHORTEST_MS];
    }
    if (watched.isLast(message)) return;
    await sleep(waitMs, undefined, { signal });
  }
}
