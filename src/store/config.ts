// The store's configuration.
import { z } from 'zod';
import { baseConfig, databaseSchema, durationSchema, fileSchema, peerSchema, replicasSchema, spiffeIdSchema } from '../kernel/config.ts';

const rate = z.int().min(1).max(1_000_000);
const DEFAULTS = {
  identity: { readsPerSecond: 10_000, writesPerSecond: 2_000, streams: 1_000 },
  instance: {
    readsPerSecond: 20_000,
    writesPerSecond: 5_000,
    groups: 10_000,
    secretsPerGroup: 2_000_000,
    versionsPerSecret: 10_000,
    bytes: 64 * 2 ** 30,
  },
};

/** Of an identity over all instances, and of each instance over all identities; rates and streams at each replica. */
export const limitsSchema = z.strictObject({
  identity: z
    .strictObject({
      readsPerSecond: rate.default(DEFAULTS.identity.readsPerSecond),
      writesPerSecond: rate.default(DEFAULTS.identity.writesPerSecond),
      streams: z.int().min(0).max(100_000).default(DEFAULTS.identity.streams),
    })
    .default(DEFAULTS.identity),
  /** What an administrator can set otherwise for one instance. */
  instance: z
    .strictObject({
      readsPerSecond: rate.default(DEFAULTS.instance.readsPerSecond),
      writesPerSecond: rate.default(DEFAULTS.instance.writesPerSecond),
      groups: z.int().min(0).max(1_000_000).default(DEFAULTS.instance.groups),
      secretsPerGroup: z.int().min(0).max(100_000_000).default(DEFAULTS.instance.secretsPerGroup),
      versionsPerSecret: z.int().min(0).max(1_000_000).default(DEFAULTS.instance.versionsPerSecret),
      bytes: z
        .int()
        .min(0)
        .max(2 ** 50)
        .default(DEFAULTS.instance.bytes),
    })
    .default(DEFAULTS.instance),
});

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
  limits: limitsSchema.default(DEFAULTS),
});
