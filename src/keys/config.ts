// The key service's configuration.
import { z } from 'zod';
import { baseConfig, databaseSchema, fileSchema, peerSchema } from '../kernel/config.ts';

export const keysConfig = z.strictObject({
  ...baseConfig,
  database: databaseSchema,
  audit: peerSchema,
  /** 32 random bytes that seal the root keys of the soft backend: keep a copy where no backup of the database is. */
  masterKeyFile: fileSchema,
});
