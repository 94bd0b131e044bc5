import type { UnwrapDekRequest, UnwrapDekResponse } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import type { Call } from '../../kernel/table.ts';
import { unwrap } from '../dek-work.ts';
import { runOne } from '../items.ts';
import type { Keys } from '../keys.ts';

export const unwrapDek = (keys: Keys, request: UnwrapDekRequest, call: Call): Promise<UnwrapDekResponse> =>
  runOne(keys, request, call, unwrap);
