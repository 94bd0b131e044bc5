// Master keys as the soft backend knows them, held in memory.
import { masterKeyId } from '../../src/keys/key-files.ts';
import type { MasterKeys } from '../../src/keys/master-keys.ts';
import { AppError } from '../../src/kernel/errors.ts';

/** The last one seals. */
export const ringOf = (...keys: Buffer[]): Pick<MasterKeys, 'current' | 'use'> => ({
  current: async () => masterKeyId(keys.at(-1)!),
  use: (id, use) => {
    const key = keys.find((one) => masterKeyId(one) === id);
    if (!key) throw new AppError('KEYS_UNAVAILABLE', `master key ${id} is not there`);
    return use(key);
  },
});
