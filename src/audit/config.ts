// The audit log's configuration. Who may call stands in `allow`, and who of those reads the whole log in `auditors`.
import { z } from 'zod';
import { addressesSchema, allowSchema, baseConfig, databaseSchema, fileSchema, listenSchema, spiffeIdSchema } from '../kernel/config.ts';
import { parseCosigner } from './cosignature.ts';
import type { Verifier } from './note.ts';
import { GROUP } from './policy.ts';

const cosignerSchema = z.string().transform((text, context): Verifier => {
  const verifier = parseCosigner(text);
  if (verifier) return verifier;
  context.addIssue({ code: 'custom', message: 'is not a key of a cosigner (name+id+key, of type 04 or 06)' });
  return z.NEVER;
});

const witnessSchema = z
  .strictObject({
    /** What the policy calls it. */
    name: z.string().regex(/^[\x21-\x7e]{1,64}$/, { error: 'must be 1 to 64 characters without a space', abort: true }),
    verifierKey: cosignerSchema,
    /** Submission prefix; `add-checkpoint` comes after it. */
    url: z.url({ protocol: /^https?$/, error: 'must begin with http:// or https://', abort: true }),
  })
  .transform(({ name, verifierKey, url }) => ({ name, verifier: verifierKey, url: url.replace(/\/+$/, '') }));

const witnessesSchema = z
  .strictObject({ members: z.array(witnessSchema).min(1).max(32), quorum: z.int().min(1) })
  .refine(({ members, quorum }) => quorum <= members.length, { path: ['quorum'], error: 'must be at most the number of members' })
  .refine(({ members }) => new Set(members.map(({ name }) => name)).size === members.length, { error: 'each must have a name of its own' })
  .refine(({ members }) => new Set(members.map(({ verifier }) => verifier.text)).size === members.length, {
    error: 'each must have a key of its own',
  })
  .refine(({ members }) => members.every(({ name }) => name !== GROUP && name !== 'none'), {
    error: `none may be called ${GROUP} or none, which mean something in a policy`,
  });

const tilesSchema = z
  .strictObject({
    listen: listenSchema,
    /** Without TLS, for a mirror or a gateway before it; then nobody gets entries. */
    plain: z.boolean().default(false),
    /** Who gets entries: they tell who did what. Everybody who can connect gets checkpoints and hashes. */
    readers: z.array(spiffeIdSchema).default([]),
  })
  .refine(({ plain, readers }) => !plain || readers.length === 0, {
    path: ['readers'],
    error: 'must be empty with plain: without TLS nobody is known',
  });
export type TilesConfig = z.infer<typeof tilesSchema>;

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
  /** The seed of the key before, which signs too until every verifier knows the new one. */
  formerSigningKeyFile: fileSchema.optional(),
  /** 32 random bytes: the seed of an ML-DSA-44 key (FIPS 204) that signs what is given out besides. */
  mlDsaKeyFile: fileSchema.optional(),
  /** Where the newest checkpoint is kept besides the database; at the start, the log must continue each of them. */
  checkpointFiles: z.array(fileSchema).default([]),
  /** Where all replicas of this log are, this one among them: one that does not write sends entries of its own to the one that does. */
  replicas: addressesSchema.optional(),
  /** How fast the log hashes its own entries again. */
  selfCheck: z.strictObject({ entriesPerSecond: z.int().min(100).max(1_000_000) }).default({ entriesPerSecond: 5_000 }),
  /** Who cosigns checkpoints, and how many of them make one count. */
  witnesses: witnessesSchema.optional(),
  /** The log as files over HTTPS (C2SP tlog-tiles). */
  tiles: tilesSchema.optional(),
});
