// The audit log's configuration. Who may call stands in `allow`, and who of those reads the whole log in `auditors`.
import { z } from 'zod';
import { addressesSchema, allowSchema, baseConfig, databaseSchema, fileSchema, spiffeIdSchema } from '../kernel/config.ts';

export const auditConfig = z.strictObject({
  ...baseConfig,
  database: databaseSchema,
  /** Who reads all of the log, by method or service as in `allow`. Who is not named here reads what he is AUDITOR of. */
  auditors: allowSchema,
  /** Whose entries tell of bindings; without it, there are no auditors of instances. */
  bindings: z.strictObject({ store: spiffeIdSchema, worker: spiffeIdSchema }).optional(),
  /** The log's name in checkpoints, such as `example.com/strongroom`: for ever the same. */
  origin: z.string().regex(/^[^\s+]{1,255}$/, 'must be without spaces and plus signs'),
  /** 32 random bytes: the seed of the Ed25519 key that signs checkpoints (RFC 8032). */
  signingKeyFile: fileSchema,
  /** Where the newest checkpoint is kept besides the database; at the start, the log must continue each of them. */
  checkpointFiles: z.array(fileSchema).default([]),
  /** Where all replicas of this log are, this one among them: one that does not write sends entries of its own to the one that does. */
  replicas: addressesSchema.optional(),
  /** How fast the log hashes its own entries again. */
  selfCheck: z.strictObject({ entriesPerSecond: z.int().min(100).max(1_000_000) }).default({ entriesPerSecond: 5_000 }),
});
