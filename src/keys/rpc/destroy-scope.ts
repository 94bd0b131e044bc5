import type { DestroyScopeRequest, Scope } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { factsOf } from '../call-context.ts';
import { scopeRetained } from '../in-use.ts';
import type { Keys } from '../keys.ts';
import { toScope } from '../messages.ts';
import { destroy } from '../mutation.ts';
import { parseScope } from '../names.ts';
import { destroyScope as forget, selectScope } from '../sql/scopes.ts';
import { forgetUses } from '../sql/usage.ts';

export const destroyScope = (keys: Keys, request: DestroyScopeRequest, call: Call): Promise<Scope> => {
  const scopeUid = parseScope(request.name);
  call.annotate({ ...factsOf(request.callContext), attributes: { scope: scopeUid } });
  return destroy(keys, call, async (tx) => {
    const destroyed = await forget(tx, scopeUid);
    const row = await selectScope(tx, scopeUid);
    if (!row) throw notFound('scope', request.name);
    call.annotate({ instanceUid: row.instance_uid });
    if (!row.destroy_time) throw scopeRetained(request.name);
    await forgetUses(tx, [scopeUid]);
    return { reply: toScope(row), revoked: destroyed };
  });
};
