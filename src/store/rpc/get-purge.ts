import type { GetPurgeRequest, Purge } from '../../gen/strongroom/secrets/v1/purge_service.ts';
import { notFound } from '../../kernel/errors.ts';
import { toPurge } from '../messages.ts';
import { parsePurge } from '../names.ts';
import { selectPurge } from '../sql/purges.ts';
import type { Store } from '../store.ts';

export const getPurge = async (store: Store, request: GetPurgeRequest): Promise<Purge> => {
  const row = await selectPurge(store.db.read, parsePurge(request.name));
  if (!row) throw notFound('purge', request.name);
  return toPurge(row);
};
