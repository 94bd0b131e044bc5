import { DeleteBindingRequest, DeleteBindingResponse } from '../../gen/strongroom/secrets/v1/binding_service.ts';
import { notFound } from '../../kernel/errors.ts';
import { parsePrincipal } from '../../kernel/fields.ts';
import type { Call } from '../../kernel/table.ts';
import { parseRole, requireBinding } from '../binding.ts';
import { mutate } from '../mutation.ts';
import { deleteBinding as remove } from '../sql/bindings.ts';
import type { Store } from '../store.ts';

export const deleteBinding = async (store: Store, request: DeleteBindingRequest, call: Call): Promise<DeleteBindingResponse> => {
  const given = requireBinding(request.binding);
  const principal = parsePrincipal(given.principal, 'binding.principal');
  const role = parseRole(given.role, 'binding.role');
  const reply = await mutate(store, call, {
    request,
    codec: { request: DeleteBindingRequest, reply: DeleteBindingResponse },
    change: async (tx) => {
      if (!(await remove(tx, { principal, scope: given.scope, role }))) throw notFound('binding', `of ${principal} on ${given.scope}`);
      call.annotate({ attributes: { principal, role } });
      return {};
    },
  });
  store.bindingsChanged();
  return reply;
};
