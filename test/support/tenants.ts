// A tenant for tests: an instance and a group that nobody else uses, with the bindings that a test asks for. Retention is
// an hour, so that what a test deletes is there until the test has looked at it.
import { crc32c } from '@node-rs/crc32';
import { randomBytes, randomUUID } from 'node:crypto';
import { Binding, type Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import type { SecretPayload } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import type { Clients } from './clients.ts';

export interface Tenant {
  /** `instances/{instance}`. */
  readonly instance: string;
  readonly instanceUid: string;
  readonly rootKey: string;
  /** `instances/{instance}/groups/main`. */
  readonly group: string;
  readonly groupUid: string;
}

export const fresh = () => ({ requestId: randomUUID() });
export const newId = (prefix: string): string => `${prefix}-${randomBytes(5).toString('hex')}`;

const sum = (bytes: Buffer | string): bigint => BigInt(crc32c(bytes) >>> 0);
export const text = (value: string): SecretPayload => ({ value: { $case: 'text', value }, crc32c: sum(value) });
export const data = (value: Buffer): SecretPayload => ({ value: { $case: 'data', value }, crc32c: sum(value) });

export const bind = async (operator: Clients, scope: string, principal: string, ...roles: Role[]): Promise<void> => {
  for (const role of roles) await operator.bindings.createBinding({ binding: Binding.fromPartial({ scope, principal, role }), ...fresh() });
};

export const unbind = async (operator: Clients, scope: string, principal: string, ...roles: Role[]): Promise<void> => {
  for (const role of roles) await operator.bindings.deleteBinding({ binding: Binding.fromPartial({ scope, principal, role }), ...fresh() });
};

export const newTenant = async (operator: Clients, { retentionSeconds = 3_600 } = {}): Promise<Tenant> => {
  const instance = await operator.instances.createInstance({
    instanceId: newId('t'),
    instance: Instance.fromPartial({ retention: { seconds: BigInt(retentionSeconds) } }),
    ...fresh(),
  });
  const group = await operator.groups.createSecretGroup({ parent: instance.name, secretGroupId: 'main', ...fresh() });
  return { instance: instance.name, instanceUid: instance.uid, rootKey: instance.rootKey, group: group.name, groupUid: group.uid };
};
