import type { GetInstanceRequest, Instance } from '../../gen/strongroom/secrets/v1/instance_service.ts';
import type { Call } from '../../kernel/table.ts';
import { loadInstance } from '../load.ts';
import { toInstance } from '../messages.ts';
import { parseInstance } from '../names.ts';
import type { Store } from '../store.ts';

export const getInstance = async (store: Store, request: GetInstanceRequest, call: Call): Promise<Instance> => {
  const row = await loadInstance(store.db.read, parseInstance(request.name));
  call.annotate({ instanceUid: row.instance_uid });
  return toInstance(row);
};
