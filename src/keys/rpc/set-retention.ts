import type { Scope } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import type { SetRetentionRequest } from '../../gen/strongroom/keys/v1/registration_service.ts';
import { invalid, notFound } from '../../kernel/errors.ts';
import { checkText } from '../../kernel/fields.ts';
import type { Call } from '../../kernel/table.ts';
import type { Keys } from '../keys.ts';
import { toScope } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseScope } from '../names.ts';
import { scopeDestroyed } from '../scope-keys.ts';
import { setRetained } from '../sql/registrations.ts';
import { lockScope } from '../sql/scopes.ts';

/** Whatever the state of the root key: one whose destruction is scheduled is not destroyed while a scope is retained. */
export const setRetention = async (keys: Keys, request: SetRetentionRequest, call: Call): Promise<Scope> => {
  const scopeUid = parseScope(request.scope, 'scope');
  const { retained } = request;
  const reason = checkText(request.reason, 'reason', 1024);
  if (reason.trim() === '') throw invalid('reason', 'is required: 1 to 1024 characters that say why');
  call.annotate({ attributes: { scope: scopeUid, retained: String(retained), reason } });

  return mutate(keys, call, async (tx) => {
    // With its root key: of a retention and the key's deletion, one sees the other.
    const row = await lockScope(tx, scopeUid);
    if (row?.service !== call.principal) throw notFound('scope', request.scope);
    if (retained && row.destroy_time) throw scopeDestroyed(scopeUid);
    call.annotate({ instanceUid: row.instance_uid });
    await setRetained(tx, scopeUid, retained);
    return toScope({ ...row, retained });
  });
};
