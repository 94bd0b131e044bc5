// The life cycle of a root key, every state against every operation, over the real service: what the table in src/keys/state.ts allows
// works and leads where it says, and all else is refused with the state's reason and changes nothing.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { RootKey, RootKey_State } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import { TRANSITIONS, type KeyState, type Operation } from '../../src/keys/state.ts';
import { clientsOf, refusalOf, type Clients } from '../support/clients.ts';
import { grantUse, newCustomer, newWrap, type Customer } from '../support/customer-keys.ts';

const stack = inject('stack');
let operator: Clients;
let store: Clients;
let customer: Customer;

beforeAll(async () => {
  [operator, store] = [clientsOf(stack, 'operator'), clientsOf(stack, 'store')];
  customer = await newCustomer(stack, operator);
  await grantUse(customer.manager, customer.ring);
});
afterAll(() => [operator, store, customer].forEach((one) => one[Symbol.dispose]()));

interface Subject {
  name: string;
  wrap: Awaited<ReturnType<typeof newWrap>>;
}

const EXPIRES_MS = 1_500;

/** How a key comes to be in a state, with a scope and a wrapped DEK from when it was enabled. */
const TO: Readonly<Record<KeyState, (name: string) => Promise<unknown>>> = {
  ENABLED: async () => undefined,
  DISABLED: (name) => customer.manager.keys.disableRootKey({ name }),
  EXPIRED: () => new Promise((resolve) => setTimeout(resolve, EXPIRES_MS)),
  DESTROY_SCHEDULED: (name) => customer.manager.keys.deleteRootKey({ name, force: true, reason: 'a test' }),
  DESTROYED: async (name) => {
    await TO.DESTROY_SCHEDULED(name);
    await customer.purger.keys.destroyRootKey({ name });
  },
};

const makeSubject = async (state: KeyState): Promise<Subject> => {
  const { name } = await customer.newKey(state === 'EXPIRED' ? { expireTime: new Date(Date.now() + EXPIRES_MS) } : {});
  const wrap = await newWrap(store, name);
  await TO[state](name);
  return { name, wrap };
};

const stateName = ({ state }: RootKey): string => Object.entries(RootKey_State).find(([, value]) => value === state)?.[0] ?? '';

const CALLS: Readonly<Partial<Record<Operation, (subject: Subject) => Promise<unknown>>>> = {
  wrap: ({ wrap: { scope, context } }) => store.envelopes.generateDek({ scope, context }),
  unwrap: ({ wrap: { scope, context, wrappedDek } }) => store.envelopes.unwrapDek({ scope, context, wrappedDek }),
  rotate: ({ name }) => customer.manager.keyVersions.rotateRootKey({ name, primaryVersion: 1 }),
  update: ({ name }) => customer.manager.keys.updateRootKey({ rootKey: RootKey.fromPartial({ name, displayName: 'new' }) }),
  disable: ({ name }) => customer.manager.keys.disableRootKey({ name }),
  enable: ({ name }) => customer.manager.keys.enableRootKey({ name }),
  delete: ({ name }) => customer.manager.keys.deleteRootKey({ name, force: true, reason: 'a test' }),
  restore: ({ name }) => customer.manager.keys.restoreRootKey({ name }),
  destroy: ({ name }) => customer.purger.keys.destroyRootKey({ name }),
};

const REASON: Readonly<Record<KeyState, string>> = {
  ENABLED: 'KEY_ENABLED',
  DISABLED: 'KEY_DISABLED',
  EXPIRED: 'KEY_EXPIRED',
  DESTROY_SCHEDULED: 'KEY_DESTROY_SCHEDULED',
  DESTROYED: 'KEY_DESTROYED',
};

describe.each(Object.keys(TRANSITIONS) as KeyState[])('a root key that is %s', (state) => {
  const cells = Object.keys(CALLS) as Operation[];
  const expected = Object.fromEntries(
    cells.map((operation) => [operation, TRANSITIONS[state][operation] ?? `refused with ${REASON[state]}, still ${state}`]),
  );
  // Destroying what is destroyed is no error, so that a repeated call ends well.
  if (state === 'DESTROYED') expected['destroy'] = 'DESTROYED';

  it('allows what the table says, and refuses all else with its reason', async () => {
    const found = await Promise.all(
      cells.map(async (operation) => {
        const subject = await makeSubject(state);
        const outcome = await CALLS[operation]!(subject).then(
          () => '',
          async (error: unknown) => {
            const { code, reason } = await refusalOf(Promise.reject(error));
            expect(code, operation).toBe('FAILED_PRECONDITION');
            return `refused with ${reason}, still `;
          },
        );
        const after = await customer.manager.keys.getRootKey({ name: subject.name });
        return [operation, `${outcome}${stateName(after)}`];
      }),
    );
    expect(Object.fromEntries(found)).toEqual(expected);
  }, 20_000);
});
