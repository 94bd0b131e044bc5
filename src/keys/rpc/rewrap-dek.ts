import type { RewrapDekRequest, RewrapDekResponse } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import type { Call } from '../../kernel/table.ts';
import { rewrap } from '../dek-work.ts';
import { runOne } from '../items.ts';
import type { Keys } from '../keys.ts';

export const rewrapDek = (keys: Keys, request: RewrapDekRequest, call: Call): Promise<RewrapDekResponse> =>
  runOne(keys, request, call, rewrap);
