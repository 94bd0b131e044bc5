// Who has one role has one duty: metadata, payloads, deletion, purge and audit are each for another person, at whatever level the
// role is given, and nobody gets from one to the next by himself.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Binding, Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { clientsAs, spiffe } from '../support/identities.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const opened: Clients[] = [operator];
let tenant: Tenant;
beforeAll(async () => {
  tenant = await newTenant(operator);
});
afterAll(() => opened.forEach((clients) => clients[Symbol.dispose]()));

const newSecret = async (): Promise<string> =>
  (await operator.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), payload: text('v'), ...fresh() })).name;

/** Each duty by a call that nothing but a right stands in the way of. */
const DUTIES: Readonly<Record<string, (as: Clients) => Promise<unknown>>> = {
  metadata: async (as) => as.secrets.getSecret({ name: await newSecret() }),
  payload: async (as) => as.access.accessSecretVersion({ name: `${await newSecret()}/versions/1` }),
  write: async (as) => as.secrets.addSecretVersion({ parent: await newSecret(), payload: text('w'), ...fresh() }),
  delete: async (as) => as.secrets.deleteSecret({ name: await newSecret(), ...fresh() }),
  destroy: async (as) => as.secrets.destroySecretVersion({ name: `${await newSecret()}/versions/1`, ...fresh() }),
  purge: async (as) => {
    const resource = await newSecret();
    await operator.secrets.deleteSecret({ name: resource, ...fresh() });
    return as.purges.expeditePurge({ resource, ...fresh() });
  },
  audit: (as) => as.auditLog.listEntries({ pageSize: 1, instanceUid: tenant.instanceUid }),
};

const MAY: readonly [keyof typeof Role, string[]][] = [
  ['READER', ['metadata']],
  ['SECRETS_READER', ['metadata', 'payload']],
  ['WRITER', ['metadata', 'write']],
  ['MANAGER', ['metadata', 'write', 'delete', 'destroy']],
  ['PURGER', ['purge']],
  ['AUDITOR', ['audit']],
];

describe.each(MAY)('who is %s and nothing else', (role, duties) => {
  it.each(role === 'AUDITOR' ? ['instance' as const] : ['instance' as const, 'group' as const])(
    'of the %s has that duty, no other, and cannot give himself one',
    async (level) => {
      const path = newId(role.toLowerCase());
      const caller = await clientsAs(stack, path);
      opened.push(caller);
      const scope = tenant[level];
      await bind(operator, scope, spiffe(path), Role[role]);
      const found: string[] = [];
      for (const [duty, call] of Object.entries(DUTIES)) {
        if (duties.includes(duty)) await call(caller).then(() => found.push(duty));
        else expect((await properRefusalOf(call(caller))).code, duty).toBe('PERMISSION_DENIED');
      }
      expect(found).toEqual(duties);
      if (role === 'MANAGER') return;
      const binding = Binding.fromPartial({ scope, principal: spiffe(path), role: Role.MANAGER });
      expect((await properRefusalOf(caller.bindings.createBinding({ binding, ...fresh() }))).code).toBe('PERMISSION_DENIED');
    },
  );
});
