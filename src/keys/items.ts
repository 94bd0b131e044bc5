// The items of DEK calls, single and batch: parsed, run, each with its own result and its own audit entry.
import type { CallContext, DekContext, ItemError } from '../gen/strongroom/keys/v1/envelope_service.ts';
import { invalid, toAppError, type AppError } from '../kernel/errors.ts';
import type { Call, EntryDraft } from '../kernel/table.ts';
import { factsOf } from './call-context.ts';
import type { DekPlace } from './dek.ts';
import type { Keys } from './keys.ts';
import { parseScope, parseUuid, scopeName } from './names.ts';
import type { Lend } from './scope-keys.ts';

export const MAX_ITEMS = 1000;
const MAX_VERSION = 2 ** 31 - 1;

export interface DekRequest {
  scope: string;
  context?: DekContext | undefined;
  callContext?: CallContext | undefined;
}

const parsePlace = ({ scope, context }: DekRequest): DekPlace => {
  const scopeUid = parseScope(scope, 'scope');
  if (!context) throw invalid('context', 'is required');
  const { version } = context;
  if (version < 1 || version > MAX_VERSION) throw invalid('context.version', 'must be 1 or more');
  return {
    scopeUid,
    instanceUid: parseUuid(context.instanceUid, 'context.instance_uid'),
    resourceUid: parseUuid(context.resourceUid, 'context.resource_uid'),
    version,
  };
};

const draftOf = (request: DekRequest, place: DekPlace): EntryDraft => ({
  resource: scopeName(place.scopeUid),
  ...factsOf(request.callContext),
  instanceUid: place.instanceUid,
  attributes: { scope: place.scopeUid, version: String(place.version) },
});

/** What is done with a scope's key, and how. */
export interface Use<Request, Response> {
  operation: 'wrap' | 'unwrap';
  run: (scopeKey: Buffer, place: DekPlace, request: Request) => Response;
}

const useKey = <Request, Response>(lend: Lend, request: Request, place: DekPlace, use: Use<Request, Response>): Promise<Response> =>
  lend(place.scopeUid, use.operation, (scopeKey, instanceUid) => {
    if (instanceUid !== place.instanceUid) throw invalid('context.instance_uid', 'is not the instance of the scope');
    return use.run(scopeKey, place, request);
  });

/** A call with one item: what fails it fails the call. */
export const runOne = async <Request extends DekRequest, Response>(
  keys: Keys,
  request: Request,
  call: Call,
  use: Use<Request, Response>,
): Promise<Response> => {
  const place = parsePlace(request);
  call.annotate(draftOf(request, place));
  return useKey(await keys.scopeKeys.confirm(call), request, place, use);
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
  use: Use<Request, Response>,
): Promise<{ outcome: Outcome<Response> }[]> => {
  if (requests.length === 0 || requests.length > MAX_ITEMS) throw invalid('requests', `must be 1 to ${MAX_ITEMS}`);
  const lend = await keys.scopeKeys.confirm(call);
  const drafts: EntryDraft[] = [];
  const run = async (request: Request, i: number): Promise<{ outcome: Outcome<Response> }> => {
    drafts[i] = {};
    try {
      const place = parsePlace(request);
      drafts[i] = draftOf(request, place);
      return { outcome: { $case: 'response', value: await useKey(lend, request, place, use) } };
    } catch (thrown) {
      const error = toAppError(thrown, call.correlationId);
      // A dead database is no fault of an item; and the log must have its cause.
      if (error.code === 'INTERNAL' || error.code === 'UNAVAILABLE') throw error;
      drafts[i] = { ...drafts[i], outcome: 'FAILURE', code: error.grpcCode, reason: error.reason };
      return failed(error);
    }
  };
  const results = await Promise.all(requests.map(run));
  call.entries(drafts);
  return results;
};
