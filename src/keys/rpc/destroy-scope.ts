import type { DestroyScopeRequest, Scope } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { factsOf } from '../call-context.ts';
import { scopeRetained } from '../in-use.ts';
import type { Keys } from '../keys.ts';
import { toScope } from '../messages.ts';
import { destroy } from '../mutation.ts';
import { parseScope } from '../names.ts';
import { destroyScopes, lockScope, selectScope } from '../sql/scopes.ts';
import { forgetUses } from '../sql/usage.ts';

export const destroyScope = (keys: Keys, request: DestroyScopeRequest, call: Call): Promise<Scope> => {
  const scopeUid = parseScope(request.name);
  call.annotate({ ...factsOf(request.callContext), attributes: { scope: scopeUid } });
  return destroy(keys, call, async (tx) => {
    const row = await lockScope(tx, scopeUid);
    if (!row || !keys.isVisible(row, call.principal)) throw notFound('scope', request.name);
    call.annotate({ instanceUid: row.instance_uid });
    if (row.retained && !row.destroy_time) throw scopeRetained(request.name);
    const destroyed = (await destroyScopes(tx, [scopeUid])) === 1;
    await forgetUses(tx, [scopeUid]);
    return { reply: toScope((await selectScope(tx, scopeUid)) ?? row), revoked: destroyed };
  });
};
