// The worker's configuration. Its database is the store's, under a role of its own.
import { z } from 'zod';
import { baseConfig, databaseSchema, peerSchema, replicasSchema } from '../kernel/config.ts';

export const workerConfig = z.strictObject({
  ...baseConfig,
  database: databaseSchema,
  keys: peerSchema,
  audit: replicasSchema,
  /** Jobs at a time in this process. */
  concurrency: z.int().min(1).max(64).default(4),
  /** Rows that all purges of this process together remove in a second, at most. */
  rowsPerSecond: z.int().min(1).optional(),
});
