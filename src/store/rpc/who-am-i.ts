import type { WhoAmIRequest, WhoAmIResponse } from '../../gen/strongroom/secrets/v1/authorization_service.ts';
import { Role } from '../../gen/strongroom/secrets/v1/binding_service.ts';
import { trustDomainOf } from '../../kernel/identity.ts';
import type { Call } from '../../kernel/table.ts';
import { selectBindingsOf } from '../sql/bindings.ts';
import type { Store } from '../store.ts';

export const whoAmI = async (store: Store, _: WhoAmIRequest, call: Call): Promise<WhoAmIResponse> => {
  const bindings = await selectBindingsOf(store.db.read, call.principal);
  const configured = store.administrators.includes(call.principal) ? [{ scope: 'system', role: Role.MANAGER, configured: true }] : [];
  return {
    principal: call.principal,
    trustDomain: trustDomainOf(call.principal),
    credentialId: call.credentialId,
    sourceAddress: call.sourceAddress,
    roles: [...configured, ...bindings.map(({ scope, role }) => ({ scope, role: Role[role], configured: false }))],
  };
};
