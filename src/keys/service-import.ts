// The rows of the import service: how a customer's own key material comes in.
import { ImportServiceService } from '../gen/strongroom/keys/v1/import_service.ts';
import { METADATA_LIMITS as metadata, register, type Call, type Limits, type Registration, type Resource } from '../kernel/table.ts';
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

const named = (name: string, parse: (name: string) => unknown): Resource => {
  parse(name);
  return { name };
};
const inRing = (parent: string): Resource => named(parent, (name) => parseKeyRing(name, 'parent'));

export const importRegistrations = (keys: Keys): Registration[] => {
  const run =
    <Request, Reply>(handler: (keys: Keys, request: Request, call: Call) => Promise<Reply>) =>
    (request: Request, call: Call): Promise<Reply> =>
      handler(keys, request, call);

  return [
    register(ImportServiceService, {
      createImportJob: {
        action: 'keys.importjob.create',
        resource: (r) => inRing(r.parent),
        audit: 'write',
        limits: pair,
        handler: run(createImportJob),
      },
      getImportJob: {
        action: 'keys.importjob.read',
        resource: (r) => named(r.name, parseImportJob),
        audit: 'read',
        limits: metadata,
        handler: run(getImportJob),
      },
      listImportJobs: {
        action: 'keys.importjob.list',
        resource: (r) => inRing(r.parent),
        audit: 'read',
        limits: metadata,
        handler: run(listImportJobs),
      },
      importRootKey: {
        action: 'keys.rootkey.import',
        resource: (r) => inRing(r.parent),
        audit: 'write',
        limits: metadata,
        handler: run(importRootKey),
      },
      importRootKeyVersion: {
        action: 'keys.rootkey.version.import',
        resource: (r) => named(r.name, parseRootKey),
        audit: 'write',
        limits: metadata,
        handler: run(importRootKeyVersion),
      },
      reimportMaterial: {
        action: 'keys.rootkey.material.import',
        resource: (r) => named(r.name, parseRootKey),
        audit: 'write',
        limits: metadata,
        handler: run(reimportMaterial),
      },
    }),
  ];
};
