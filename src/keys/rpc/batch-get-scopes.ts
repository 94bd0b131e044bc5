import type { BatchGetScopesRequest, BatchGetScopesResponse, GetScopeResult } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import { invalid, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { failed, MAX_ITEMS } from '../items.ts';
import type { Keys } from '../keys.ts';
import { toScope } from '../messages.ts';
import { parseScope, scopeName } from '../names.ts';
import { selectScopes } from '../sql/scopes.ts';

/** One query, and one entry in the audit log, for all of them. */
export const batchGetScopes = async (keys: Keys, { names }: BatchGetScopesRequest, call: Call): Promise<BatchGetScopesResponse> => {
  if (names.length === 0 || names.length > MAX_ITEMS) throw invalid('names', `must be 1 to ${MAX_ITEMS}`);
  call.annotate({ attributes: { count: String(names.length) } });
  const parse = (name: string): string | undefined => {
    try {
      return parseScope(name, 'names');
    } catch {
      return undefined;
    }
  };
  const uids = names.map(parse);
  const rows = await selectScopes(
    keys.db.read,
    uids.filter((uid) => uid !== undefined),
  );
  const found = new Map(rows.filter((row) => keys.isVisible(row, call.principal)).map((row) => [row.scope_uid, toScope(row)]));
  const resultOf = (uid: string | undefined): GetScopeResult => {
    if (uid === undefined) return failed(invalid('names', 'must be scopes/{uid}, a UUID in lower case', 'MALFORMED_NAME'));
    const scope = found.get(uid);
    return scope ? { outcome: { $case: 'scope', value: scope } } : failed(notFound('scope', scopeName(uid)));
  };
  return { results: uids.map(resultOf) };
};
