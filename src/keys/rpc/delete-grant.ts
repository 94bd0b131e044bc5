import type { DeleteGrantRequest, DeleteGrantResponse } from '../../gen/strongroom/keys/v1/grant_service.ts';
import type { Call } from '../../kernel/table.ts';
import { tellOfGrant } from '../grant.ts';
import type { Keys } from '../keys.ts';
import { destroy } from '../mutation.ts';
import { parseGrant } from '../names.ts';
import { deleteGrant as remove } from '../sql/grants.ts';

/** Answered when its event is in the log, so that a database that is restored later finds what was revoked. */
export const deleteGrant = async (keys: Keys, request: DeleteGrantRequest, call: Call): Promise<DeleteGrantResponse> => {
  const grantUid = parseGrant(request.name);
  const deleted = await destroy(keys, call, async (tx) => {
    const row = await remove(tx, grantUid, request.target);
    if (row) await tellOfGrant(tx, 'GRANT_REVOKED', row);
    const who = row ? { principal: row.principal, role: row.role, ...(row.instance === '' ? {} : { instance: row.instance }) } : {};
    call.annotate({ attributes: { grant: grantUid, ...who } });
    return { reply: {}, revoked: row !== undefined };
  });
  keys.events.made();
  return deleted;
};
