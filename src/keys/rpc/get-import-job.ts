import type { GetImportJobRequest, ImportJob } from '../../gen/strongroom/keys/v1/import_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Keys } from '../keys.ts';
import { toImportJob } from '../messages.ts';
import { parseImportJob } from '../names.ts';
import { selectImportJob } from '../sql/import-jobs.ts';

export const getImportJob = async (keys: Keys, request: GetImportJobRequest): Promise<ImportJob> => {
  const row = await selectImportJob(keys.db.read, parseImportJob(request.name));
  if (!row) throw notFound('import job', request.name);
  return toImportJob(row);
};
