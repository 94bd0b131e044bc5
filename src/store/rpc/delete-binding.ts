import { DeleteBindingRequest, DeleteBindingResponse } from '../../gen/strongroom/secrets/v1/binding_service.ts';
import type { Queryable } from '../../kernel/db.ts';
import { AppError, notFound } from '../../kernel/errors.ts';
import { parsePrincipal } from '../../kernel/fields.ts';
import type { Call } from '../../kernel/table.ts';
import { permits } from '../access.ts';
import { parseRole, parseScope, requireBinding } from '../binding.ts';
import { mutate } from '../mutation.ts';
import { deleteBinding as remove, hasManager } from '../sql/bindings.ts';
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
      if (principal === call.principal && role === 'MANAGER') await assertNotLast(store, tx, given.scope, call);
      call.annotate({ attributes: { principal, role } });
      return {};
    },
  });
  store.bindingsChanged();
  return reply;
};

/**
 * Looked at when the binding is gone and the epoch is raised, which changes of bindings do one after another: of two Managers who
 * leave at once, the second one is the last. Who is Manager of the system stays that of the instance.
 */
const assertNotLast = async (store: Store, tx: Queryable, scope: string, call: Call): Promise<void> => {
  const at = parseScope(scope, 'binding.scope');
  if (at === 'system' || 'group' in at) return;
  if ((await hasManager(tx, scope)) || permits(await store.bindingsOf(call.principal), 'system', 'manage')) return;
  throw new AppError('LAST_MANAGER', `you are the last Manager of ${scope}; make another one first`, { metadata: { resource: scope } });
};
