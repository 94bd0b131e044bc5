// Keeps callers within their limits: rates and streams in the memory of this process, counts by what the database has counted. One
// identity over its limits is refused before anything else of its call is looked at, so that it cannot starve another.
import { AppError } from '../kernel/errors.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import { metrics } from '../kernel/metrics.ts';
import { openRates } from '../kernel/rates.ts';
import type { Admit } from '../kernel/table.ts';
import { tooFast, type IdentityLimits, type InstanceLimits, type LimitName } from './limits.ts';

const STREAM_RETRY_MS = 1_000;
/** As long as it takes a second's worth to come back. */
const SPREAD_MS = 1_000;

export interface Limiter {
  /** Of a caller, right after it is known who it is. */
  readonly admit: Admit;
  /** Of an instance, once it is known that the caller may do that there. */
  readonly admitTo: (instance: string, kind: 'read' | 'write', limits: InstanceLimits) => void;
  /** So many more reads of a caller that is let in: of one call that is as many. The next ones wait until that is made up for. */
  readonly charge: (principal: SpiffeId, reads: number) => void;
  /** What is used now, at this replica, of rates and streams. */
  readonly used: (principal: SpiffeId, instance: string, limits: InstanceLimits) => Readonly<Partial<Record<LimitName, number>>>;
}

export const openLimiter = (identity: IdentityLimits): Limiter => {
  const rates = openRates();
  const streams = new Map<SpiffeId, number>();
  const refuse = (error: AppError): never => {
    metrics.limitedCalls.inc({ limit: error.metadata['limit'] ?? '' });
    throw error;
  };
  const take = (key: string, limit: LimitName, perSecond: number): void => {
    const waitMs = rates.take(`${limit} ${key}`, perSecond, performance.now());
    // Who is refused together must not come back together.
    if (waitMs > 0) refuse(tooFast(limit, perSecond, waitMs + Math.ceil(Math.random() * SPREAD_MS)));
  };
  const openStream = (principal: SpiffeId): (() => void) => {
    const count = (streams.get(principal) ?? 0) + 1;
    if (count > identity.streams) refuse(tooFast('identity.streams', identity.streams, STREAM_RETRY_MS));
    streams.set(principal, count);
    return () => {
      const left = (streams.get(principal) ?? 1) - 1;
      if (left > 0) streams.set(principal, left);
      else streams.delete(principal);
    };
  };
  return {
    admit: (principal, kind) => {
      if (kind === 'write') take(principal, 'identity.writesPerSecond', identity.writesPerSecond);
      else take(principal, 'identity.readsPerSecond', identity.readsPerSecond);
      return kind === 'stream' ? openStream(principal) : undefined;
    },
    admitTo: (instance, kind, limits) =>
      kind === 'write'
        ? take(instance, 'instance.writesPerSecond', limits.writesPerSecond)
        : take(instance, 'instance.readsPerSecond', limits.readsPerSecond),
    charge: (principal, reads) => rates.charge(`identity.readsPerSecond ${principal}`, identity.readsPerSecond, performance.now(), reads),
    used: (principal, instance, limits) => {
      const now = performance.now();
      const usedOf = (limit: LimitName, key: string, perSecond: number) => rates.used(`${limit} ${key}`, perSecond, now);
      return {
        'identity.readsPerSecond': usedOf('identity.readsPerSecond', principal, identity.readsPerSecond),
        'identity.writesPerSecond': usedOf('identity.writesPerSecond', principal, identity.writesPerSecond),
        'identity.streams': streams.get(principal) ?? 0,
        'instance.readsPerSecond': usedOf('instance.readsPerSecond', instance, limits.readsPerSecond),
        'instance.writesPerSecond': usedOf('instance.writesPerSecond', instance, limits.writesPerSecond),
      };
    },
  };
};
