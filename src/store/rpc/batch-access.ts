import type {
  AccessSecretVersionRequest,
  AccessSecretVersionResponse,
  AccessSecretVersionResult,
  BatchAccessRequest,
  BatchAccessResponse,
} from '../../gen/strongroom/secrets/v1/secret_access_service.ts';
import { AppError, invalid, toAppError } from '../../kernel/errors.ts';
import { outcomeOf } from '../../kernel/steps.ts';
import type { Call, EntryDraft } from '../../kernel/table.ts';
import type { Decision } from '../authorize.ts';
import { groupName, parseVersion, type GroupPath } from '../names.ts';
import { assertFound, parseAsked, toReadable, toResponse, type Readable } from '../opening.ts';
import { selectAllStored, type Asked, type StoredItem } from '../sql/secret-versions.ts';
import type { Store } from '../store.ts';

const MAX_ITEMS = 1_000;
/** Of the reply: what gRPC clients take unless told otherwise. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Room for the names, or the error, of one item. */
const ITEM_BYTES = 1024;

/** One request on its way: what its entry says, and how it ended as soon as it has. */
interface Item {
  readonly request: AccessSecretVersionRequest;
  draft: EntryDraft;
  /** When it is permitted and well-formed. */
  asked?: Asked;
  outcome?: AccessSecretVersionResponse | AppError | undefined;
}

/** Each item is treated as a call of its own would be; what they share is the statement, the call to the key service, and the append. */
export const batchAccess = async (store: Store, { requests }: BatchAccessRequest, call: Call): Promise<BatchAccessResponse> => {
  if (requests.length === 0 || requests.length > MAX_ITEMS) throw invalid('requests', `must be 1 to ${MAX_ITEMS}`);
  store.limiter.charge(call.principal, requests.length - 1);
  const items = requests.map((request): Item => ({ request, draft: { resource: request.name } }));
  await authorize(store, items, call);
  await open(store, items, call);
  // As for a single one: the keys of their groups may have been replaced since the rows were read.
  for (const item of items) if (isOvertaken(item)) item.outcome = undefined;
  await open(store, items, call);
  call.entries(items.map(entryOf));
  return { results: items.map(resultOf) };
};

/** What fails a step of an item is the item's outcome. But a service that cannot be reached is no fault of an item. */
const settle = async (item: Item, call: Call, step: () => void | Promise<void>): Promise<void> => {
  try {
    await step();
  } catch (thrown) {
    const error = toAppError(thrown, call.correlationId);
    if (error.code === 'INTERNAL' || error.code === 'UNAVAILABLE') throw error;
    item.outcome = error;
  }
};

const authorize = async (store: Store, items: readonly Item[], call: Call): Promise<void> => {
  const decisions = new Map<string, Promise<Decision>>();
  const decide = (group: GroupPath): Promise<Decision> => {
    const name = groupName(group);
    const decision = decisions.get(name) ?? store.decide(call, { scope: group, permission: 'access' });
    decisions.set(name, decision);
    return decision;
  };
  const admit = async (item: Item): Promise<void> => {
    const { refuse, instanceUid, limits } = await decide(parseVersion(item.request.name));
    item.draft = { ...item.draft, instanceUid };
    if (refuse) throw refuse(call.action, item.request.name);
    // Many at once are as many alone, for their instance too.
    if (limits) store.limiter.admitTo(instanceUid, 'read', limits);
    item.asked = parseAsked(item.request);
  };
  await Promise.all(items.map((item) => settle(item, call, () => admit(item))));
};

/** Opens what has no outcome yet. */
const open = async (store: Store, items: readonly Item[], call: Call): Promise<void> => {
  const waiting = items.flatMap((item) => (item.asked && !item.outcome ? [{ item, asked: item.asked }] : []));
  if (waiting.length === 0) return;
  const all = waiting.map(({ asked }) => asked);
  const rows = await selectAllStored(store.db.read, all, ITEM_BYTES, MAX_BYTES);
  const found = new Map(rows.map((row) => [Number(row.n) - 1, row]));
  const readable: { item: Item; version: Readable }[] = [];
  for (const [i, { item, asked }] of waiting.entries())
    await settle(item, call, () => void readable.push({ item, version: read(item, asked, found.get(i)) }));
  await Promise.all(
    readable.map(({ item, version }) =>
      settle(item, call, async () => {
        const { opening } = version;
        const bytes = opening && (await store.envelope.open(opening.place, opening.sealed, call, version.group));
        store.accesses.count(version);
        item.outcome = toResponse(version, bytes);
      }),
    ),
  );
};

const read = (item: Item, asked: Asked, row: StoredItem | undefined): Readable => {
  const stored = assertFound(asked, row);
  if (!stored.fits) throw tooLarge();
  const version = toReadable(asked, stored);
  item.draft = version.draft;
  return version;
};

const tooLarge = (): AppError =>
  new AppError('BATCH_TOO_LARGE', `the payloads before this one fill the ${MAX_BYTES} bytes of a reply; ask for this one in another call`, {
    metadata: { limit: String(MAX_BYTES) },
  });

const isOvertaken = ({ outcome }: Item): boolean => outcome instanceof AppError && outcome.reason === 'SCOPE_KEY_VERSION_DESTROYED';

const entryOf = ({ draft, outcome }: Item): EntryDraft => (outcome instanceof AppError ? { ...draft, ...outcomeOf(outcome) } : draft);

const resultOf = ({ outcome }: Item): AccessSecretVersionResult => {
  if (!outcome) throw new Error('an item of a batch has no outcome');
  if (!(outcome instanceof AppError)) return { outcome: { $case: 'response', value: outcome } };
  const { grpcCode: code, reason, message, metadata } = outcome;
  return { outcome: { $case: 'error', value: { code, reason, message, metadata: new Map(Object.entries(metadata)) } } };
};
