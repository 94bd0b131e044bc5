// One call of every RPC that takes key material in, and what it takes.
import type { WrappedMaterial } from '../../src/gen/strongroom/keys/v1/import_service.ts';
import type { Clients, Options } from '../support/clients.ts';
import { importKey, newImportJob, newMaterial, offerFor } from '../support/import.ts';
import { newId } from '../support/tenants.ts';

export interface ImportTargets {
  imports: {
    job: string;
    key: string;
    /** Whose material has expired: a version that no rotation of the master key renews. */
    expired: string;
    /** Each of these is taken once. */
    first: WrappedMaterial;
    next: WrappedMaterial;
    again: WrappedMaterial;
  };
}

export const makeImportTargets = async (operator: Clients, ring: string): Promise<ImportTargets> => {
  const material = newMaterial();
  const jobs = await Promise.all([1, 2, 3].map(() => newImportJob(operator, 3_600, newId('job'), ring)));
  const key = await importKey(operator, newMaterial(), undefined, ring);
  const expired = await importKey(operator, material, 1, ring);
  const [first, next, again] = jobs.map((job, i) => offerFor(job, i === 2 ? material : newMaterial()));
  return { imports: { job: jobs[0]!.name, key: key.name, expired: expired.name, first: first!, next: next!, again: again! } };
};

type MakeCall = (as: Clients, on: ImportTargets & { ring: string }, options: Options) => Promise<unknown>;

export const IMPORT_CALLS: Readonly<Record<string, MakeCall>> = {
  'ImportService/CreateImportJob': (as, on, o) =>
    as.imports.createImportJob({ parent: on.ring, importJobId: newId('m') }, { timeoutMs: 30_000, ...o }),
  'ImportService/GetImportJob': (as, on, o) => as.imports.getImportJob({ name: on.imports.job }, o),
  'ImportService/ListImportJobs': (as, on, o) => as.imports.listImportJobs({ parent: on.ring, pageSize: 1 }, o),
  'ImportService/ImportRootKey': (as, on, o) =>
    as.imports.importRootKey({ parent: on.ring, rootKeyId: newId('k'), material: on.imports.first }, o),
  'ImportService/ImportRootKeyVersion': (as, on, o) =>
    as.imports.importRootKeyVersion({ name: on.imports.key, material: on.imports.next }, o),
  'ImportService/ReimportMaterial': (as, on, o) =>
    as.imports.reimportMaterial({ name: on.imports.expired, version: 1, material: on.imports.again }, o),
};
