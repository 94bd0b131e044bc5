import type { TestPermissionsRequest, TestPermissionsResponse } from '../../gen/strongroom/secrets/v1/authorization_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { parseTested } from '../names.ts';
import { isAction, mayDo } from '../permissions.ts';
import { selectInstanceWith } from '../sql/secrets.ts';
import type { Store } from '../store.ts';

const MOST = 100;

/** The one statement is made whatever the caller may know, so that time tells nothing either. */
export const testPermissions = async (store: Store, request: TestPermissionsRequest, call: Call): Promise<TestPermissionsResponse> => {
  const { actions } = request;
  if (actions.length === 0 || actions.length > MOST) throw invalid('actions', `must be 1 to ${MOST}`);
  const unknown = actions.findIndex((action) => !isAction(action));
  if (unknown >= 0) throw invalid(`actions[${unknown}]`, 'is no action of this service; docs/audit-events.md lists them');

  const scope = parseTested(request.resource);
  const bindings = await store.bindingsOf(call.principal);
  if (scope === 'system') return { actions: actions.filter((action) => mayDo(bindings, scope, action)) };
  const instanceUid = await selectInstanceWith(store.db.read, scope);
  call.annotate({ instanceUid: instanceUid ?? '' });
  const allowed = actions.filter((action) => mayDo(bindings, scope, action));
  return { actions: instanceUid === undefined ? [] : allowed };
};
