import type { GetGrantRequest, Grant } from '../../gen/strongroom/keys/v1/grant_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Keys } from '../keys.ts';
import { toGrant } from '../messages.ts';
import { parseGrant } from '../names.ts';
import { selectGrant } from '../sql/grants.ts';

export const getGrant = async (keys: Keys, request: GetGrantRequest): Promise<Grant> => {
  const row = await selectGrant(keys.db.read, parseGrant(request.name));
  if (!row) throw notFound('grant', request.name);
  return toGrant(row);
};
