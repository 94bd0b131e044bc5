import type { QueueStatus } from '../../gen/strongroom/secrets/v1/purge_service.ts';
import { toQueueStatus } from '../messages.ts';
import { selectQueue } from '../sql/purges.ts';
import type { Store } from '../store.ts';

export const getQueueStatus = async (store: Store): Promise<QueueStatus> => toQueueStatus(await selectQueue(store.db.read));
