import { Binding, CreateBindingRequest } from '../../gen/strongroom/secrets/v1/binding_service.ts';
import { parsePrincipal } from '../../kernel/fields.ts';
import type { Call } from '../../kernel/table.ts';
import { assertFits, assertScopeExists, parseRole, parseScope, requireBinding } from '../binding.ts';
import { toBinding } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { insertBinding } from '../sql/bindings.ts';
import type { Store } from '../store.ts';

export const createBinding = async (store: Store, request: CreateBindingRequest, call: Call): Promise<Binding> => {
  const given = requireBinding(request.binding);
  const scope = parseScope(given.scope, 'binding.scope');
  const principal = parsePrincipal(given.principal, 'binding.principal');
  const role = parseRole(given.role, 'binding.role');
  assertFits(role, scope);
  const reply = await mutate(store, call, {
    request,
    codec: { request: CreateBindingRequest, reply: Binding },
    change: async (tx) => {
      await assertScopeExists(tx, scope);
      call.annotate({ attributes: { principal, role } });
      return toBinding(await insertBinding(tx, { principal, scope: given.scope, role }));
    },
  });
  store.bindingsChanged();
  return reply;
};
