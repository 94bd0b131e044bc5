// A tenant for purge tests: instances, groups and secrets made through the store, and what the store shows of purges.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { dialAs } from '../../src/dev/clients.ts';
import { connect } from '../../src/dev/provision.ts';
import type { Stack } from '../../src/dev/stack.ts';
import { AuditServiceService } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { BindingServiceService } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance, InstanceServiceService } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { Purge_State, PurgeServiceService, type Purge } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { SecretAccessServiceService } from '../../src/gen/strongroom/secrets/v1/secret_access_service.ts';
import { SecretGroupServiceService } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { SecretServiceService } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';

export const soon = () => ({ deadline: Date.now() + 20_000 });
export const fresh = () => ({ requestId: randomUUID(), etag: '' });
const text = (value: string) => ({ value: { $case: 'text' as const, value }, crc32c: undefined });
const parallel = async (count: number, work: (i: number) => Promise<unknown>): Promise<void> => {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(16, count) }, async () => {
      while (next < count) await work(next++);
    }),
  );
};

export const openTenant = (stack: Stack) => {
  const operator = dialAs(stack, 'operator');
  const auditor = dialAs(stack, 'auditor');
  const instances = operator.dial(InstanceServiceService, 'store');
  const groups = operator.dial(SecretGroupServiceService, 'store');
  const secrets = operator.dial(SecretServiceService, 'store');
  const purges = operator.dial(PurgeServiceService, 'store');

  const purgeOf = (uid: string): Promise<Purge> => purges.getPurge({ name: `purges/${uid}` }, soon());
  return {
    instances,
    groups,
    secrets,
    bindings: operator.dial(BindingServiceService, 'store'),
    access: operator.dial(SecretAccessServiceService, 'store'),
    log: auditor.dial(AuditServiceService, 'audit'),
    purgeOf,
    newInstance: (retentionSeconds: number) =>
      instances.createInstance(
        {
          instanceId: `i-${randomUUID().slice(0, 8)}`,
          instance: { ...Instance.create(), retention: { seconds: BigInt(retentionSeconds), nanos: 0 } },
          requestId: randomUUID(),
        },
        soon(),
      ),
    newGroup: (parent: string, secretGroupId: string) =>
      groups.createSecretGroup({ parent, secretGroupId, secretGroup: undefined, requestId: randomUUID() }, soon()),
    newSecret: (parent: string, secretId: string) =>
      secrets.createSecret({ parent, secretId, secret: undefined, payload: text('first'), requestId: randomUUID() }, soon()),
    /** `count` secrets with two versions each. */
    fill: (parent: string, count: number) =>
      parallel(count, async (i) => {
        const made = { parent, secretId: `s-${i}`, secret: undefined, payload: text('first'), requestId: randomUUID() };
        const secret = await secrets.createSecret(made, soon());
        await secrets.addSecretVersion({ parent: secret.name, payload: text('second'), ...fresh() }, soon());
      }),
    /** Resolves when the purge is in this state or a later one. */
    reaches: async (uid: string, state: Purge_State, seconds = 60): Promise<Purge> => {
      let last: Purge | undefined;
      for (const end = Date.now() + seconds * 1_000; Date.now() < end; await sleep(100)) {
        last = await purgeOf(uid).catch(() => undefined);
        if (last && last.state >= state) return last;
      }
      throw new Error(`the purge is not there after ${seconds} s: state ${last?.state}, last error: ${last?.lastError}`);
    },
    /** What is left of an instance in the store's tables. */
    rowsOf: async (instanceUid: string): Promise<number[]> => {
      const owner = await connect(stack, 'store', 'owner');
      try {
        const tables = ['instances', 'secret_groups', 'secrets', 'secret_versions'];
        const count = async (table: string) =>
          Number((await owner.query(`select count(*) as n from ${table} where instance_uid = $1`, [instanceUid])).rows[0].n);
        return [await count(tables[0]!), await count(tables[1]!), await count(tables[2]!), await count(tables[3]!)];
      } finally {
        await owner.end();
      }
    },
    [Symbol.asyncDispose]: async () => {
      await operator[Symbol.asyncDispose]();
      await auditor[Symbol.asyncDispose]();
    },
  };
};
