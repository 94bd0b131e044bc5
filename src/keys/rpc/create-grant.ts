import type { CreateGrantRequest, Grant } from '../../gen/strongroom/keys/v1/grant_service.ts';
import { AppError } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { newUid } from '../../kernel/uid.ts';
import { checkGrant, loadTarget, tellOfGrant } from '../grant.ts';
import type { Keys } from '../keys.ts';
import { toGrant } from '../messages.ts';
import { revoke } from '../mutation.ts';
import { insertGrant, selectEqualGrant } from '../sql/grants.ts';

export const createGrant = async (keys: Keys, request: CreateGrantRequest, call: Call): Promise<Grant> => {
  const grant = checkGrant(request.grant);
  call.annotate({
    attributes: { principal: grant.principal, role: grant.role, ...(grant.instance === '' ? {} : { instance: grant.instance }) },
  });
  // It takes nothing away; but what is cached of the principal's roles must not outlive it.
  const created = await revoke(keys, call, async (tx) => {
    const target = await loadTarget(tx, grant.target);
    const added = await insertGrant(tx, { ...grant, target, grant_uid: newUid(), created_by: call.principal });
    const row = added ?? (await selectEqualGrant(tx, { ...grant, target }));
    if (!row) throw new AppError('CONFLICT', 'the same grant was deleted meanwhile; try again');
    if (added) await tellOfGrant(tx, 'GRANTED', added);
    call.annotate({ attributes: { ...call.facts.attributes, grant: row.grant_uid } });
    return { reply: toGrant(row), revoked: added !== undefined };
  });
  keys.events.made();
  return created;
};
