import type { BatchUnwrapDeksRequest, BatchUnwrapDeksResponse } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import type { Call } from '../../kernel/table.ts';
import { unwrap } from '../dek-work.ts';
import { runBatch } from '../items.ts';
import type { Keys } from '../keys.ts';

export const batchUnwrapDeks = async (keys: Keys, request: BatchUnwrapDeksRequest, call: Call): Promise<BatchUnwrapDeksResponse> => ({
  results: await runBatch(keys, request.requests, call, unwrap),
});
