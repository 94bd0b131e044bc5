// The changes that race with the begin of a purge, each with something of its own that is deleted and due: what is made ready
// before it, the call, and what must become of the thing if the call has happened and if not.
import { expect } from 'vitest';
import { spiffeIdOf, type Stack } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { Instance, RetentionPolicy } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import type { Clients } from '../support/clients.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newTenant, text, type Tenant } from '../support/tenants.ts';
import { countsOf, jobsOf, reaches, rowsOf } from '../worker/purges.ts';
import { CHANGES, type Kind, type Step } from './steps.ts';

/** Usable again; gone, with a receipt; deleted, and waiting for its hold or its time. */
type Fate = 'whole' | 'purged' | 'waiting';

export interface Change {
  what: string;
  step: Step;
  kind: Kind;
  ready: (operator: Clients, target: Target) => Promise<unknown>;
  /** The same request each time. */
  call: (operator: Clients, target: Target, request: { requestId: string }) => Promise<unknown>;
  fate: { happened: Fate; not: Fate };
}

export interface Target {
  tenant: Tenant;
  /** What is deleted, and a version of a secret in it. */
  name: string;
  version: string;
  /** Of its purge. */
  uid: string;
}

const HOLD = { holdId: 'case', hold: Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' }) };
const COUNTS: Record<Kind, bigint[]> = {
  INSTANCE: [1n, 2n, 1n, 1n],
  GROUP: [1n, 2n, 1n, 1n],
  SECRET: [0n, 2n, 1n, 0n],
  VERSION: [0n, 0n, 0n, 0n],
};
const ROWS: Record<Kind, number[]> = { INSTANCE: [0, 0, 0, 0], GROUP: [1, 0, 0, 0], SECRET: [1, 1, 0, 0], VERSION: [1, 1, 1, 2] };

const remove = (operator: Clients, kind: Kind, name: string): Promise<unknown> => {
  if (kind === 'INSTANCE') return operator.instances.deleteInstance({ name, ...fresh() });
  if (kind === 'GROUP') return operator.groups.deleteSecretGroup({ name, ...fresh() });
  if (kind === 'SECRET') return operator.secrets.deleteSecret({ name, ...fresh() });
  return operator.secrets.destroySecretVersion({ name, ...fresh() });
};

const setRetention = (operator: Clients, name: string, seconds: number) => {
  const retention = { seconds: BigInt(seconds), nanos: 0 };
  const instance = Instance.fromPartial({ name, retention, retentionPolicy: RetentionPolicy.fromPartial({ version: retention }) });
  return operator.instances.updateInstance({ instance, updateMask: ['retention', 'retention_policy'], ...fresh() });
};

const nothing = async (): Promise<void> => undefined;
const undelete = (kind: Kind, call: Change['call']): Change => ({
  what: `${kind === 'VERSION' ? 'restore' : 'undelete'} of ${kind}`,
  step: CHANGES.undelete,
  kind,
  ready: nothing,
  call,
  fate: { happened: 'whole', not: 'purged' },
});

export const ALL_CHANGES: readonly Change[] = [
  undelete('INSTANCE', (operator, { name }, request) => operator.instances.undeleteInstance({ name, ...request })),
  undelete('GROUP', (operator, { name }, request) => operator.groups.undeleteSecretGroup({ name, ...request })),
  undelete('SECRET', (operator, { name }, request) => operator.secrets.undeleteSecret({ name, ...request })),
  undelete('VERSION', (operator, { name }, request) => operator.secrets.restoreSecretVersion({ name, ...request })),
  {
    what: 'create of a hold',
    step: CHANGES.createHold,
    kind: 'GROUP',
    ready: nothing,
    call: (operator, { name: parent }, request) => operator.holds.createHold({ parent, ...HOLD, ...request }),
    fate: { happened: 'waiting', not: 'purged' },
  },
  {
    what: 'delete of a hold',
    step: CHANGES.deleteHold,
    kind: 'GROUP',
    ready: (operator, { name: parent }) => operator.holds.createHold({ parent, ...HOLD, ...fresh() }),
    call: (operator, { name }, request) => operator.holds.deleteHold({ name: `${name}/holds/case`, ...request }),
    fate: { happened: 'purged', not: 'waiting' },
  },
  {
    what: 'early purge',
    step: CHANGES.expedite,
    kind: 'GROUP',
    ready: async (operator, { tenant }) => {
      await bind(operator, tenant.instance, spiffeIdOf('operator'), Role.PURGER);
      await setRetention(operator, tenant.instance, 3_600);
    },
    call: (operator, { name: resource }, request) => operator.purges.expeditePurge({ resource, ...request }),
    fate: { happened: 'purged', not: 'waiting' },
  },
];

/** Deleted, with all that the change needs; due a second later, unless the change is to make it due. */
export const newTarget = async (operator: Clients, stack: Stack, { kind, ready }: Change): Promise<Target> => {
  const tenant = await newTenant(operator, { retentionSeconds: 3_600 });
  await setRetention(operator, tenant.instance, 1);
  await bind(operator, tenant.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
  const secret = await operator.secrets.createSecret({ parent: tenant.group, secretId: 's', payload: text('one'), ...fresh() });
  await operator.secrets.addSecretVersion({ parent: secret.name, payload: text('two'), ...fresh() });
  const version = `${secret.name}/versions/1`;
  const names: Record<Kind, string> = { INSTANCE: tenant.instance, GROUP: tenant.group, SECRET: secret.name, VERSION: version };
  const target = { tenant, name: names[kind], version, uid: '' };
  await ready(operator, target);
  await remove(operator, kind, target.name);
  return withDatabase(stack, 'store', async (client) => {
    const { rows } = await client.query<{ uid: string }>('select uid from purges where resource = $1', [target.name]);
    return { ...target, uid: rows[0]?.uid ?? '' };
  });
};

export const expectFate = async (operator: Clients, stack: Stack, { kind, what }: Change, target: Target, fate: Fate): Promise<void> => {
  const { uid, tenant, version } = target;
  if (fate === 'purged') {
    const purge = await reaches(operator, uid, Purge_State.DONE, 30_000);
    expect(purge, what).toMatchObject({ lastError: '', auditIndex: expect.any(BigInt) as bigint });
    expect(countsOf(purge), what).toEqual(COUNTS[kind]);
    expect(await rowsOf(stack, tenant.instanceUid), what).toEqual(ROWS[kind]);
    return;
  }
  expect(await rowsOf(stack, tenant.instanceUid), what).toEqual([1, 1, 1, 2]);
  if (fate === 'waiting') {
    expect((await operator.purges.getPurge({ name: `purges/${uid}` })).state, what).toBe(Purge_State.SCHEDULED);
    return;
  }
  if (kind === 'VERSION') await operator.secrets.enableSecretVersion({ name: version, ...fresh() });
  expect((await operator.access.accessSecretVersion({ name: version })).payload, what).toEqual(text('one'));
  await expect(operator.purges.getPurge({ name: `purges/${uid}` }), what).rejects.toMatchObject({ code: 5 });
  expect(await jobsOf(stack, uid), what).toBe(0);
};
