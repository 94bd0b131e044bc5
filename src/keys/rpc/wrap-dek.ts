import type { WrapDekRequest, WrapDekResponse } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import type { Call } from '../../kernel/table.ts';
import { wrap } from '../dek-work.ts';
import { runOne } from '../items.ts';
import type { Keys } from '../keys.ts';

export const wrapDek = (keys: Keys, request: WrapDekRequest, call: Call): Promise<WrapDekResponse> => runOne(keys, request, call, wrap);
