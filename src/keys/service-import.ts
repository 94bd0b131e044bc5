// The rows of the import service: how a customer's own key material comes in.
import { ImportServiceService } from '../gen/strongroom/keys/v1/import_service.ts';
import { METADATA_LIMITS as metadata, register, type Limits, type Registration } from '../kernel/table.ts';
import type { Guarded, Permission } from './access.ts';
import { on, runWith } from './guarded.ts';
import type { Keys } from './keys.ts';
import { parseImportJob, parseKeyRing, parseRootKey } from './names.ts';
import { createImportJob } from './rpc/create-import-job.ts';
import { getImportJob } from './rpc/get-import-job.ts';
import { importRootKeyVersion } from './rpc/import-root-key-version.ts';
import { importRootKey } from './rpc/import-root-key.ts';
import { listImportJobs } from './rpc/list-import-jobs.ts';
import { reimportMaterial } from './rpc/reimport-material.ts';

/** A pair of 4096 bits takes a second or two, and more on a busy machine. */
const pair: Limits = { ...metadata, deadlineMs: 30_000 };

const inRing = (permission: Permission, parent: string): Guarded => on(permission, parent, (name) => parseKeyRing(name, 'parent'));
/** The right on a job is that on its key ring. */
const onJob = (name: string): Guarded => on('read', name, (text) => ({ keyRing: parseImportJob(text).keyRing }));

export const importRegistrations = (keys: Keys): Registration[] => {
  const run = runWith(keys);
  return [
    register(ImportServiceService, {
      createImportJob: {
        action: 'keys.importjob.create',
        resource: (r) => inRing('manage', r.parent),
        audit: 'write',
        facts: [],
        limits: pair,
        handler: run(createImportJob),
      },
      getImportJob: {
        action: 'keys.importjob.read',
        resource: (r) => onJob(r.name),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getImportJob),
      },
      listImportJobs: {
        action: 'keys.importjob.list',
        resource: (r) => inRing('read', r.parent),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listImportJobs),
      },
      importRootKey: {
        action: 'keys.rootkey.import',
        resource: (r) => inRing('manage', r.parent),
        audit: 'write',
        facts: ['importJob'],
        limits: metadata,
        handler: run(importRootKey),
      },
      importRootKeyVersion: {
        action: 'keys.rootkey.version.import',
        resource: (r) => on('manage', r.name, parseRootKey),
        audit: 'write',
        facts: ['key', 'version', 'importJob'],
        limits: metadata,
        handler: run(importRootKeyVersion),
      },
      reimportMaterial: {
        action: 'keys.rootkey.material.import',
        resource: (r) => on('manage', r.name, parseRootKey),
        audit: 'write',
        facts: ['key', 'version', 'importJob'],
        limits: metadata,
        handler: run(reimportMaterial),
      },
    }),
  ];
};
