// The store's configuration.
import { z } from 'zod';
import { baseConfig, databaseSchema, durationSchema, fileSchema, peerSchema, replicasSchema, spiffeIdSchema } from '../kernel/config.ts';

export const storeConfig = z.strictObject({
  ...baseConfig,
  database: databaseSchema,
  keys: peerSchema,
  audit: replicasSchema,
  /** Manager of the system, whatever the bindings say: so there is always somebody who can make the first binding. */
  administrators: z.array(spiffeIdSchema).min(1),
  /** 32 random bytes, the same for all replicas: seals page tokens and keys the digests of repeated requests. */
  tokenKeyFile: fileSchema,
  /** How long what is deleted can be undeleted: the default, and the least and the most that an instance may ask for. */
  retention: z
    .strictObject({ default: durationSchema, minimum: durationSchema, maximum: durationSchema.default(90 * 86_400_000) })
    .refine((r) => r.minimum <= r.default && r.default <= r.maximum, 'default must be from minimum to maximum'),
  /** When something is purged or destroyed in a group, its key is replaced as soon as it is this old; null: on request only. */
  rekeyAfterPurge: durationSchema.nullable().default(30 * 86_400_000),
  /** How long the old version is kept when all have moved, for backups of the store that may have to be restored; a request can say otherwise. */
  rekeyKeepFor: durationSchema.default(7 * 86_400_000),
  /** The shortest interval at which a secret may be rotated. */
  rotationMinimum: durationSchema.refine((ms) => ms >= 1_000, 'must be at least 1s').default(3_600_000),
});
