// The key service's configuration.
import { z } from 'zod';
import { baseConfig, databaseSchema, durationSchema, fileSchema, replicasSchema, spiffeIdSchema } from '../kernel/config.ts';

/** As long as a read that is under way may take. */
const SHORTEST_KEEP_MS = 5_000;

export const keysConfig = z.strictObject({
  ...baseConfig,
  database: databaseSchema,
  audit: replicasSchema,
  /** Manager of all key rings, so that there is always somebody. */
  administrators: z.array(spiffeIdSchema).min(1),
  /** Services that make provider-managed root keys for their instances, and register scopes under them. */
  provisioners: z.array(spiffeIdSchema).default([]),
  /** Services that end what was deleted: they destroy provider-managed root keys. */
  purgers: z.array(spiffeIdSchema).default([]),
  /** 32 random bytes: page tokens are sealed under a key derived from it. The same for all replicas. */
  tokenKeyFile: fileSchema,
  /** What services are told of the life cycle of root keys. */
  events: z
    .strictObject({
      /** One that is not acknowledged by then is recorded as overdue. */
      deadline: durationSchema.default(60_000),
    })
    .default({ deadline: 60_000 }),
  /** The shortest interval of a rotation policy. */
  rotationMinimum: durationSchema.default(86_400_000),
  /** Who may look at and destroy the scopes of which other services: the one that ends what another one has begun. */
  deputies: z.record(spiffeIdSchema, z.array(spiffeIdSchema).min(1)).default({}),
  scopeCache: z
    .strictObject({
      /** Scopes whose keys are held in memory, at most. */
      max: z.int().min(1),
    })
    .default({ max: 100_000 }),
  /** The keys that seal the root keys of the soft backend. */
  masterKeys: z.strictObject({
    /** A folder of their own, the same for all replicas, in no backup of the database. */
    dir: fileSchema,
    /** How often a new one takes the place of the current one; null: on request only. */
    rotateEvery: durationSchema.nullable(),
    /** How long one that seals nothing any more is kept, for backups that may be needed. */
    keepFor: durationSchema.refine((ms) => ms >= SHORTEST_KEEP_MS, 'must be 5s or more'),
  }),
});
