// The limits of the store: what there is, what an instance may have of its own, and what a call over one is told. Pure.
import type { z } from 'zod';
import { InstanceLimits as Message } from '../gen/strongroom/secrets/v1/limit_service.ts';
import { AppError, invalid } from '../kernel/errors.ts';
import type { limitsSchema } from './config.ts';

export type Limits = z.output<typeof limitsSchema>;
export type IdentityLimits = Limits['identity'];
export type InstanceLimits = Limits['instance'];
/** What an administrator has set for one instance. */
export type Overrides = Partial<InstanceLimits>;
export type LimitName = `identity.${keyof IdentityLimits}` | `instance.${keyof InstanceLimits}`;

/** By limit of an instance: its field in the message, and the least and the most that it may be. */
const FIELDS = {
  readsPerSecond: { field: 'readsPerSecond', least: 1n, most: 1_000_000n },
  writesPerSecond: { field: 'writesPerSecond', least: 1n, most: 1_000_000n },
  groups: { field: 'groupsCount', least: 0n, most: 1_000_000n },
  secretsPerGroup: { field: 'secretsPerGroupCount', least: 0n, most: 100_000_000n },
  versionsPerSecret: { field: 'versionsPerSecretCount', least: 0n, most: 1_000_000n },
  bytes: { field: 'bytes', least: 0n, most: 2n ** 50n },
} as const satisfies Record<keyof InstanceLimits, { field: keyof Message; least: bigint; most: bigint }>;

const NAMES = Object.keys(FIELDS) as (keyof InstanceLimits)[];
const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export const parseOverrides = (message: Message): Overrides =>
  Object.fromEntries(
    NAMES.flatMap((name) => {
      const { field, least, most } = FIELDS[name];
      const value = message[field];
      if (value === undefined) return [];
      if (value < least || value > most) throw invalid(`limits.${snake(field)}`, `must be from ${least} to ${most}`);
      return [[name, Number(value)]];
    }),
  );

export const toInstanceLimits = (name: string, overrides: Overrides): Message => {
  const message = Message.create({ name });
  for (const [limit, value] of Object.entries(overrides)) message[FIELDS[limit as keyof InstanceLimits].field] = BigInt(value);
  return message;
};

const ADVICE = 'or ask an administrator for more (docs/secrets.md, Limits)';

export const tooFast = (limit: LimitName, value: number, retryAfterMs: number): AppError =>
  new AppError('RATE_LIMIT_EXCEEDED', `${limit} is ${value}, and that is used up; try again in ${retryAfterMs} ms, ${ADVICE}`, {
    metadata: { limit, value: String(value) },
    retryAfterMs,
  });

export const tooMuch = (limit: LimitName, value: number, used: number, resource: string): AppError =>
  new AppError('QUOTA_EXCEEDED', `${resource} would be over ${limit}, which is ${value}; destroy and purge what is not needed, ${ADVICE}`, {
    metadata: { limit, value: String(value), used: String(used), resource },
  });
