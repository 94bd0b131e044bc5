// Revocations under load, and how long after each of them the last use succeeded: three replicas of the key service that are read all
// the time, one of which is stopped for a while and another one cut off from its database, at moments that nobody chose.
import { setTimeout as sleep } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import { configFileOf } from '../../src/dev/configs.ts';
import type { Stack } from '../../src/dev/stack.ts';
import { openCable, type Cable } from './cable.ts';
import { clientsOf, type Clients } from './clients.ts';
import { grantUse, newCustomer, newWrap, type Customer } from './customer-keys.ts';
import { startReplica, type Replica } from './replica.ts';

export const KINDS = ['disable', 'delete', 'grant', 'scope', 'expiry'] as const;
export type Kind = (typeof KINDS)[number];
export const DISTURBANCES = ['none', 'replica stopped', 'database cut off'] as const;
export type Disturbance = (typeof DISTURBANCES)[number];

export interface Revocation {
  kind: Kind;
  disturbance: Disturbance;
  /** Milliseconds from its acknowledgement to the last answer that used what was revoked; 0 if none came later. */
  gap: number;
  /** Uses that succeeded before. */
  uses: number;
}

/**
 * Of a caller that wants the bound: an answer that a replica has made, and that was on its way when the replica was stopped, comes
 * when it goes on. The store does the same.
 */
const USE = { timeoutMs: 500 };
/** More than the bound, so that what breaks it is seen. */
const WATCH_MS = 1_300;
const PAUSE_MS = 8;
const random = (least: number, most: number): number => least + Math.random() * (most - least);

interface Scene {
  replica: Replica;
  cable: Cable;
  operator: Clients;
  customer: Customer;
  /** The store, at each of the three. */
  users: Clients[];
}

const disturb = async (disturbance: Disturbance, { replica, cable }: Scene): Promise<void> => {
  await sleep(random(0, 400));
  const lasting = random(200, 1_500);
  if (disturbance === 'replica stopped') {
    replica.signal('SIGSTOP');
    await sleep(lasting);
    replica.signal('SIGCONT');
  } else if (disturbance === 'database cut off') {
    cable.cut();
    await sleep(lasting);
    cable.mend();
  }
};

const revokeOne = async (kind: Kind, disturbance: Disturbance, { customer, users }: Scene): Promise<Revocation> => {
  const expireTime = new Date(Date.now() + 1_500);
  const { name } = await customer.newKey(kind === 'expiry' ? { expireTime } : {});
  const grant = await grantUse(customer.manager, name);
  const { scope, context, wrappedDek } = await newWrap(users[0]!, name);
  // What has expired still unwraps.
  const use = (as: Clients) =>
    kind === 'expiry' ? as.envelopes.generateDek({ scope, context }, USE) : as.envelopes.unwrapDek({ scope, context, wrappedDek }, USE);
  let [last, uses, going] = [0, 0, true];
  const keepUsing = async (as: Clients): Promise<void> => {
    for (; going; await sleep(PAUSE_MS)) {
      const used = await use(as).then(
        () => true,
        () => false,
      );
      if (used) [last, uses] = [performance.now(), uses + 1];
    }
  };
  const using = users.map(keepUsing);
  await sleep(random(300, 900));
  const revoke: Readonly<Record<Kind, () => Promise<unknown>>> = {
    disable: () => customer.manager.keys.disableRootKey({ name }),
    delete: () => customer.manager.keys.deleteRootKey({ name, force: true, reason: 'a test' }),
    grant: () => customer.manager.grants.deleteGrant({ name: grant.name, target: grant.target }),
    scope: () => users[0]!.envelopes.destroyScope({ name: scope }),
    expiry: () => sleep(expireTime.getTime() - Date.now()),
  };
  await revoke[kind]();
  const acknowledged = performance.now();
  await sleep(WATCH_MS);
  going = false;
  await Promise.all(using);
  return { kind, disturbance, gap: Math.max(0, last - acknowledged), uses };
};

/** As many as asked for, some at a time; each round has one disturbance. */
export const revokeMany = async (stack: Stack, count: number, told: (revocation: Revocation) => void): Promise<void> => {
  await using cable = await openCable(stack.ports.postgres);
  const { database } = JSON.parse(readFileSync(configFileOf(stack, 'keys'), 'utf8')) as { database: object };
  await using stopped = await startReplica(stack, 'keys');
  await using cutOff = await startReplica(stack, 'keys', { database: { ...database, port: cable.port } });
  using operator = clientsOf(stack, 'operator');
  using customer = await newCustomer(stack, operator);
  const users = [stack, stopped.stack, cutOff.stack].map((there) => clientsOf(there, 'store'));
  const scene: Scene = { replica: stopped, cable, operator, customer, users };
  try {
    for (let done = 0; done < count; done += KINDS.length) {
      const disturbance = DISTURBANCES[(done / KINDS.length) % DISTURBANCES.length]!;
      const disturbed = disturb(disturbance, scene);
      const kinds = KINDS.slice(0, count - done);
      for (const revocation of await Promise.all(kinds.map((kind) => revokeOne(kind, disturbance, scene)))) told(revocation);
      await disturbed;
    }
  } finally {
    for (const clients of users) clients[Symbol.dispose]();
  }
};
