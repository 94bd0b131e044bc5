import type { GetLimitsRequest, GetLimitsResponse, Limit } from '../../gen/strongroom/secrets/v1/limit_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { InstanceLimits, LimitName } from '../limits.ts';
import { parseResource } from '../names.ts';
import { MAX_PAYLOAD_BYTES } from '../payload.ts';
import { selectUsage } from '../sql/usage.ts';
import type { Store } from '../store.ts';

export const getLimits = async (store: Store, request: GetLimitsRequest, call: Call): Promise<GetLimitsResponse> => {
  const path = parseResource(request.name);
  const [facts, usage] = await Promise.all([store.instances.of(path), selectUsage(store.db.read, path)]);
  if (!facts || !usage) throw notFound('resource', request.name);
  const { identity } = store.limits;
  const used: Readonly<Partial<Record<LimitName, number | bigint | null>>> = {
    ...store.limiter.used(call.principal, facts.uid, facts.limits),
    'instance.groups': usage.groups,
    'instance.bytes': usage.bytes,
    'instance.secretsPerGroup': usage.secrets,
    'instance.versionsPerSecret': usage.versions,
  };
  const limitOf = (name: LimitName | 'payload.bytes', value: number, overridden: boolean): Limit => {
    const count = name === 'payload.bytes' ? undefined : (used[name] ?? undefined);
    const left = count === undefined ? undefined : BigInt(value) - BigInt(count);
    return {
      name,
      value: BigInt(value),
      used: count === undefined ? undefined : BigInt(count),
      remaining: left === undefined ? undefined : left > 0n ? left : 0n,
      overridden,
    };
  };
  const own = (['readsPerSecond', 'writesPerSecond', 'streams'] as const).map((name) => limitOf(`identity.${name}`, identity[name], false));
  const ofInstance = (Object.entries(facts.limits) as [keyof InstanceLimits, number][]).map(([name, value]) =>
    limitOf(`instance.${name}`, value, facts.overrides[name] !== undefined),
  );
  return { limits: [...own, ...ofInstance, limitOf('payload.bytes', MAX_PAYLOAD_BYTES, false)] };
};
