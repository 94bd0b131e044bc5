import { setTimeout as sleep } from 'node:timers/promises';
import { Purge_State, type Purge, type WatchPurgeRequest } from '../../gen/strongroom/secrets/v1/purge_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { toPurge } from '../messages.ts';
import { parsePurge } from '../names.ts';
import type { Store } from '../store.ts';

/** Between two looks: at a purge that changes, and at most, at one that only waits. */
const SHORTEST_MS = 100;
const LONGEST_MS = 1_000;

/** Looks again and again: a purge that runs changes more often than anybody wants to hear; all who watch look together. */
export async function* watchPurge(store: Store, request: WatchPurgeRequest, { signal }: Call): AsyncGenerator<Purge> {
  const uid = parsePurge(request.name);
  let told = '';
  for (let waitMs = SHORTEST_MS; !signal.aborted;) {
    const row = await store.lookAtPurge(uid, Date.now() + 5_000);
    if (!row) throw notFound('purge', request.name);
    const purge = toPurge(row);
    // What is estimated anew at each look is no news by itself.
    const news = JSON.stringify({ ...row, estimated_end_time: null }, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    if (news === told) waitMs = Math.min(LONGEST_MS, waitMs * 1.5);
    else {
      yield purge;
      [told, waitMs] = [news, SHORTEST_MS];
    }
    if (purge.state === Purge_State.DONE) return;
    await sleep(waitMs, undefined, { signal });
  }
}
