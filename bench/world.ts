// What the load works on: a stack of its own, an instance with 10 groups, and an echo server.
import { setTimeout as sleep } from 'node:timers/promises';
import { dialAs } from '../src/dev/clients.ts';
import { connect, DATABASES } from '../src/dev/provision.ts';
import { spiffeIdOf, type Stack } from '../src/dev/stack.ts';
import { status } from '../src/dev/up.ts';
import { BindingServiceService, Role } from '../src/gen/strongroom/secrets/v1/binding_service.ts';
import { InstanceServiceService } from '../src/gen/strongroom/secrets/v1/instance_service.ts';
import { SecretGroupServiceService } from '../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import type { World } from './operation.ts';

const GROUPS = 10;

const options = () => ({ deadline: Date.now() + 15_000 });
const newRequest = () => ({ requestId: crypto.randomUUID() });

export const buildWorld = async (stack: Stack, echoPort: number): Promise<World> => {
  await using operator = dialAs(stack, 'operator');
  const instances = operator.dial(InstanceServiceService, 'store');
  const groups = operator.dial(SecretGroupServiceService, 'store');
  const bindings = operator.dial(BindingServiceService, 'store');
  const instance = await instances.createInstance({ instanceId: 'bench', instance: undefined, ...newRequest() }, options());
  for (const role of [Role.WRITER, Role.SECRETS_READER]) {
    const binding = { scope: instance.name, principal: spiffeIdOf('app'), role, createTime: undefined };
    await bindings.createBinding({ binding, ...newRequest() }, options());
  }
  const made: World['groups'] = [];
  for (let i = 0; i < GROUPS; i++) {
    const request = { parent: instance.name, secretGroupId: `group-${i}`, secretGroup: undefined, ...newRequest() };
    const { name, uid } = await groups.createSecretGroup(request, options());
    made.push({ name, uid });
  }
  return { stack, echoPort, instance: { name: instance.name, uid: instance.uid }, groups: made };
};

/** Process ids of the services and of PostgreSQL. */
export const pidsOf = async (stack: Stack): Promise<Record<string, number>> =>
  Object.fromEntries(
    (await status(stack)).map(({ part, pid }) => {
      if (pid === undefined) throw new Error(`${part} does not run`);
      return [part, pid];
    }),
  );

/** What autovacuum does within a minute of a change, so that every round has the same plans. */
export const analyze = async (stack: Stack): Promise<void> => {
  for (const database of Object.keys(DATABASES)) {
    const client = await connect(stack, database, 'owner');
    try {
      await client.query('analyze');
    } finally {
      await client.end();
    }
  }
};

const SETTLE_MS = 60_000;

/** Waits until the audit log has all that was done; answers how many events it had left to take. */
export const settle = async (stack: Stack): Promise<number> => {
  const client = await connect(stack, 'store', 'owner');
  try {
    const count = async () => Number((await client.query<{ count: bigint | string }>('select count(*) from outbox')).rows[0]!.count);
    const left = await count();
    for (const end = Date.now() + SETTLE_MS; (await count()) > 0; await sleep(50))
      if (Date.now() > end) throw new Error(`the audit log has not taken all events in ${SETTLE_MS / 1_000} s`);
    return left;
  } finally {
    await client.end();
  }
};
