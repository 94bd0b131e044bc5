import type { ListImportJobsRequest, ListImportJobsResponse } from '../../gen/strongroom/keys/v1/import_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Keys } from '../keys.ts';
import { toImportJob } from '../messages.ts';
import { parseKeyRing } from '../names.ts';
import { listImportJobs as select } from '../sql/import-jobs.ts';

export const listImportJobs = async (keys: Keys, request: ListImportJobsRequest): Promise<ListImportJobsResponse> => {
  const { keyRing } = parseKeyRing(request.parent, 'parent');
  const { items, nextPageToken } = await pageOf({
    tokens: keys.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['importJobs', keyRing],
    first: [''],
    select: ([after = ''], limit) => select(keys.db.read, { keyRing, after, limit }),
    cursor: (row) => [row.job_id],
    item: toImportJob,
  });
  return { importJobs: items, nextPageToken };
};
