// The table's part about deletion: what stands against it, and what becomes of it.
import { HoldServiceService } from '../gen/strongroom/secrets/v1/hold_service.ts';
import { PurgeServiceService } from '../gen/strongroom/secrets/v1/purge_service.ts';
import { METADATA_LIMITS as metadata, register, type Registration } from '../kernel/table.ts';
import type { Scope } from './access.ts';
import { on, runWith, system, WATCH_LIMITS as watch } from './guarded.ts';
import { parseDeletable, parseHold, parsePurge, parseResource } from './names.ts';
import { createHold } from './rpc/create-hold.ts';
import { deleteHold } from './rpc/delete-hold.ts';
import { expeditePurge } from './rpc/expedite-purge.ts';
import { getHold } from './rpc/get-hold.ts';
import { getPurge } from './rpc/get-purge.ts';
import { getQueueStatus } from './rpc/get-queue-status.ts';
import { listHolds } from './rpc/list-holds.ts';
import { listPurges } from './rpc/list-purges.ts';
import { watchPurge } from './rpc/watch-purge.ts';
import type { Store } from './store.ts';

const inResource = (parent: string): Scope => parseResource(parent, 'parent');
const inDeletable = (resource: string): Scope => parseDeletable(resource, 'resource');
const aroundHold = (name: string): Scope => parseHold(name).resource;

export const deletionRegistrations = (store: Store): Registration[] => {
  const run = runWith(store);
  return [
    register(HoldServiceService, {
      createHold: {
        action: 'secrets.hold.create',
        resource: (r) => on('manage', r.parent, inResource),
        audit: 'write',
        facts: ['effect'],
        limits: metadata,
        handler: run(createHold),
      },
      getHold: {
        action: 'secrets.hold.read',
        resource: (r) => on('manage', r.name, aroundHold),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getHold),
      },
      listHolds: {
        action: 'secrets.hold.list',
        resource: (r) => on('manage', r.parent, inResource),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listHolds),
      },
      deleteHold: {
        action: 'secrets.hold.delete',
        resource: (r) => on('manage', r.name, aroundHold),
        audit: 'write',
        facts: [],
        limits: metadata,
        handler: run(deleteHold),
      },
    }),
    register(PurgeServiceService, {
      getPurge: {
        action: 'secrets.purge.read',
        resource: (r) => system('read', `purges/${parsePurge(r.name)}`),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getPurge),
      },
      listPurges: {
        action: 'secrets.purge.list',
        resource: () => system('read', 'purges'),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listPurges),
      },
      watchPurge: {
        action: 'secrets.purge.watch',
        resource: (r) => system('read', `purges/${parsePurge(r.name)}`),
        audit: 'read',
        facts: [],
        limits: watch,
        handler: run(watchPurge),
      },
      expeditePurge: {
        action: 'secrets.purge.expedite',
        resource: (r) => on('purge', r.resource, inDeletable),
        audit: 'write',
        facts: ['purge'],
        limits: metadata,
        handler: run(expeditePurge),
      },
      getQueueStatus: {
        action: 'secrets.purge.count',
        resource: () => system('read', 'purges'),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getQueueStatus),
      },
    }),
  ];
};
