import type { WatchSecretsRequest, WatchSecretsResponse } from '../../gen/strongroom/secrets/v1/secret_watch_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { PageTokens } from '../../kernel/page.ts';
import type { Call } from '../../kernel/table.ts';
import { loadActiveGroup } from '../load.ts';
import { toSecretEvent } from '../messages.ts';
import { parseGroup, parseId } from '../names.ts';
import { selectChangesOf, selectHead, type Watched } from '../sql/changes.ts';
import type { Store } from '../store.ts';
import { MOST_WAITING, type News } from '../watchers.ts';

const MOST_IDS = 1_000;
const TOKEN_CHARACTERS = 256;
/** Sealed, because the number tells how much is changed by everybody; the same for all groups, because it permits nothing. */
const BINDING = ['watch'];

export async function* watchSecrets(store: Store, request: WatchSecretsRequest, call: Call): AsyncGenerator<WatchSecretsResponse> {
  const path = parseGroup(request.parent, 'parent');
  const secretIds = parseIds(request.secretIds);
  const after = parseToken(store.pages, request.resumeToken);
  const group = await loadActiveGroup(store.db.read, path);
  call.annotate({ instanceUid: group.instance_uid });
  const next = store.watchers.watch(group, secretIds, call.signal);
  let news = await next();
  if (after !== undefined) news = await catchUp(store, group, secretIds, after, news);
  for (; !call.signal.aborted; news = await next()) {
    yield {
      events: news.changes.map((change) => toSecretEvent(path, change)),
      resumeToken: store.pages.seal([String(news.settled)], BINDING),
      resync: news.isResync,
    };
  }
}

const parseIds = (ids: readonly string[]): readonly string[] | null => {
  if (ids.length > MOST_IDS) throw invalid('secret_ids', `must be at most ${MOST_IDS}`);
  return ids.length === 0 ? null : ids.map((id, i) => parseId(id, `secret_ids[${i}]`));
};

const parseToken = (pages: PageTokens, token: string): bigint | undefined => {
  if (token === '') return undefined;
  if (token.length > TOKEN_CHARACTERS) throw invalid('resume_token', `has more than ${TOKEN_CHARACTERS} characters`);
  try {
    return BigInt(pages.open(token, BINDING)[0] ?? '');
  } catch {
    throw invalid('resume_token', 'is none that WatchSecrets has given; begin with an empty one');
  }
};

/** What has come since `after`, before the news, which are of the time since the watch began. */
const catchUp = async (store: Store, group: Watched, secretIds: readonly string[] | null, after: bigint, news: News): Promise<News> => {
  const rows = await selectChangesOf(store.db.read, group, secretIds, after, MOST_WAITING + 1);
  // After the rows: what was pruned while they were read is pruned by now.
  const { head, pruned_to: prunedTo } = await selectHead(store.db.read);
  const isTooOld = after < prunedTo;
  // Of a time that the database was restored to before.
  const isUnknown = after > head;
  if (isTooOld || isUnknown || rows.length > MOST_WAITING) return { ...news, changes: [], isResync: true };
  const known = new Set(rows.map(({ id }) => id));
  return { ...news, changes: [...rows, ...news.changes.filter(({ id }) => !known.has(id))] };
};
