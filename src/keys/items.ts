// The items of DEK calls, single and batch: parsed, run, each with its own result and its own audit entry.
import type { CallContext, DekContext, ItemError } from '../gen/strongroom/keys/v1/envelope_service.ts';
import { invalid, toAppError, type AppError } from '../kernel/errors.ts';
import type { Call, EntryDraft } from '../kernel/table.ts';
import { factsOf } from './call-context.ts';
import { MAX_ADDITIONAL_BYTES, type DekPlace, type ScopeKey } from './dek.ts';
import type { Keys } from './keys.ts';
import type { Lend, Need } from './scope-keys.ts';
import { parseScope, parseUuid, scopeName } from './names.ts';

export const MAX_ITEMS = 1000;
const MAX_VERSION = 2 ** 31 - 1;

export interface DekRequest {
  scope: string;
  context?: DekContext | undefined;
  callContext?: CallContext | undefined;
  targetScope?: string;
}

const parsePlace = ({ scope, context }: DekRequest): DekPlace => {
  const scopeUid = parseScope(scope, 'scope');
  if (!context) throw invalid('context', 'is required');
  const { version, additionalData } = context;
  if (version < 1 || version > MAX_VERSION) throw invalid('context.version', 'must be 1 or more');
  if (additionalData.length > MAX_ADDITIONAL_BYTES)
    throw invalid('context.additional_data', `must be at most ${MAX_ADDITIONAL_BYTES} bytes; bind a digest of what is longer`);
  return {
    scopeUid,
    instanceUid: parseUuid(context.instanceUid, 'context.instance_uid'),
    resourceUid: parseUuid(context.resourceUid, 'context.resource_uid'),
    version,
    additionalData,
  };
};

/** The place under another scope, if one is named; under its own otherwise. */
const parseTarget = ({ targetScope = '' }: DekRequest, place: DekPlace): DekPlace =>
  targetScope === '' ? place : { ...place, scopeUid: parseScope(targetScope, 'target_scope') };

const draftOf = (request: DekRequest, place: DekPlace, target: DekPlace): EntryDraft => ({
  resource: scopeName(place.scopeUid),
  ...factsOf(request.callContext),
  instanceUid: place.instanceUid,
  attributes: {
    scope: place.scopeUid,
    deks: `${place.resourceUid}/${place.version}`,
    ...(target === place ? {} : { target: target.scopeUid }),
  },
});

/** An item, parsed, and the keys that it may use. */
export interface Item {
  readonly place: DekPlace;
  /** Where to wrap it: the same, but where a call names another scope. */
  readonly target: DekPlace;
  /** Lends the key of the place's scope to `use`, which must not keep it. */
  readonly lend: <T>(place: DekPlace, need: Need, use: (scopeKey: ScopeKey) => T) => Promise<T>;
}

/** What a call does with each of its items. */
export type Work<Request, Response> = (item: Item, request: Request) => Promise<Response>;

const parseItem = (lend: Lend, request: DekRequest): Item & { draft: EntryDraft } => {
  const place = parsePlace(request);
  const target = parseTarget(request, place);
  return {
    place,
    target,
    draft: draftOf(request, place, target),
    lend: ({ scopeUid, instanceUid }, need, use) =>
      lend(scopeUid, need, (scopeKey, owner) => {
        if (owner !== instanceUid) throw invalid('context.instance_uid', 'is not the instance of the scope');
        return use(scopeKey);
      }),
  };
};

/** Of the DEKs that one entry names: with their commas they fit into an attribute. */
const MOST_DEKS = 40;

/** Items that differ in nothing but their DEK have one entry, which names all of them. */
const gather = (drafts: readonly EntryDraft[]): EntryDraft[] => {
  const open = new Map<string, { draft: EntryDraft; deks: string[] }>();
  const gathered: { draft: EntryDraft; deks: string[] }[] = [];
  for (const draft of drafts) {
    const { scope = '', target = '', deks } = draft.attributes ?? {};
    const kind = `${draft.correlationId} ${draft.traceId} ${draft.onBehalfOf} ${scope} ${target} ${draft.instanceUid} ${draft.reason} ${draft.resource}`;
    const known = open.get(kind);
    if (known && deks !== undefined && known.deks.length < MOST_DEKS) known.deks.push(deks);
    else {
      const one = { draft, deks: deks === undefined ? [] : [deks] };
      open.set(kind, one);
      gathered.push(one);
    }
  }
  return gathered.map(({ draft, deks }) =>
    deks.length < 2 ? draft : { ...draft, attributes: { ...draft.attributes, deks: deks.join(',') } },
  );
};

/** A call with one item: what fails it fails the call. */
export const runOne = async <Request extends DekRequest, Response>(
  keys: Keys,
  request: Request,
  call: Call,
  work: Work<Request, Response>,
): Promise<Response> => {
  const item = parseItem(await keys.scopeKeys.confirm(call), request);
  call.annotate(item.draft);
  return work(item, request);
};

type Outcome<Response> = { $case: 'response'; value: Response } | { $case: 'error'; value: ItemError };

/** The result of an item that failed. */
export const failed = (error: AppError): { outcome: { $case: 'error'; value: ItemError } } => {
  const metadata = new Map(Object.entries(error.metadata));
  return { outcome: { $case: 'error', value: { code: error.grpcCode, reason: error.reason, message: error.message, metadata } } };
};

/** A call with many items: what fails an item fails that item only. */
export const runBatch = async <Request extends DekRequest, Response>(
  keys: Keys,
  requests: readonly Request[],
  call: Call,
  work: Work<Request, Response>,
): Promise<{ outcome: Outcome<Response> }[]> => {
  if (requests.length === 0 || requests.length > MAX_ITEMS) throw invalid('requests', `must be 1 to ${MAX_ITEMS}`);
  const lend = await keys.scopeKeys.confirm(call);
  const drafts: EntryDraft[] = [];
  const run = async (request: Request, i: number): Promise<{ outcome: Outcome<Response> }> => {
    drafts[i] = {};
    try {
      const item = parseItem(lend, request);
      drafts[i] = item.draft;
      return { outcome: { $case: 'response', value: await work(item, request) } };
    } catch (thrown) {
      const error = toAppError(thrown, call.correlationId);
      // A dead database is no fault of an item; and the log must have its cause.
      if (error.code === 'INTERNAL' || error.code === 'UNAVAILABLE') throw error;
      drafts[i] = { ...drafts[i], outcome: 'FAILURE', code: error.grpcCode, reason: error.reason };
      return failed(error);
    }
  };
  const results = await Promise.all(requests.map(run));
  call.entries(gather(drafts));
  return results;
};
