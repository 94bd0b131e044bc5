import type { GetScopeRequest, Scope } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { Keys } from '../keys.ts';
import { toScope } from '../messages.ts';
import { parseScope } from '../names.ts';
import { selectScope } from '../sql/scopes.ts';

export const getScope = async (keys: Keys, request: GetScopeRequest, call: Call): Promise<Scope> => {
  const row = await selectScope(keys.db.read, parseScope(request.name));
  if (!row || !keys.isVisible(row, call.principal)) throw notFound('scope', request.name);
  call.annotate({ instanceUid: row.instance_uid });
  return toScope(row);
};
