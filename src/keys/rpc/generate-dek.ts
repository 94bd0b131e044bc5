import type { GenerateDekRequest, GenerateDekResponse } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import type { Call } from '../../kernel/table.ts';
import { generate } from '../dek-work.ts';
import { runOne } from '../items.ts';
import type { Keys } from '../keys.ts';

export const generateDek = (keys: Keys, request: GenerateDekRequest, call: Call): Promise<GenerateDekResponse> =>
  runOne(keys, request, call, generate);
