import type { BatchGenerateDeksRequest, BatchGenerateDeksResponse } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import type { Call } from '../../kernel/table.ts';
import { generate } from '../dek-work.ts';
import { runBatch } from '../items.ts';
import type { Keys } from '../keys.ts';

export const batchGenerateDeks = async (keys: Keys, request: BatchGenerateDeksRequest, call: Call): Promise<BatchGenerateDeksResponse> => ({
  results: await runBatch(keys, request.requests, call, generate),
});
