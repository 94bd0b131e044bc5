import type { BatchRewrapDeksRequest, BatchRewrapDeksResponse } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import type { Call } from '../../kernel/table.ts';
import { rewrap } from '../dek-work.ts';
import { runBatch } from '../items.ts';
import type { Keys } from '../keys.ts';

export const batchRewrapDeks = async (keys: Keys, request: BatchRewrapDeksRequest, call: Call): Promise<BatchRewrapDeksResponse> => ({
  results: await runBatch(keys, request.requests, call, rewrap),
});
