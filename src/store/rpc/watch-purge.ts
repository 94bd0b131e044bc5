import { Purge_State, type Purge, type WatchPurgeRequest } from '../../gen/strongroom/secrets/v1/purge_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { toPurge } from '../messages.ts';
import { parsePurge } from '../names.ts';
import type { PurgeRow } from '../sql/purges.ts';
import type { Store } from '../store.ts';
import { watchRow } from '../watch.ts';

export async function* watchPurge(store: Store, request: WatchPurgeRequest, { signal }: Call): AsyncGenerator<Purge> {
  const uid = parsePurge(request.name);
  const look = async () => {
    const row = await store.lookAtPurge(uid, Date.now() + 5_000);
    if (!row) throw notFound('purge', request.name);
    return row;
  };
  // What is estimated anew at each look is no news by itself.
  const newsOf = (row: PurgeRow) => ({ ...row, estimated_end_time: null });
  yield* watchRow({ look, newsOf, toMessage: toPurge, isLast: ({ state }) => state === Purge_State.DONE }, signal);
}
