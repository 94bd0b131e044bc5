// Resource names of the key service, parsed or refused with the shape that was expected. Pure.
import { invalid } from '../kernel/errors.ts';

/** All key rings. */
export const ALL = 'keyRings/-';
/** Before every UUID there is. */
export const NIL = '00000000-0000-0000-0000-000000000000';
export const ANY_INSTANCE = 'instances/-';

export interface KeyRingPath {
  keyRing: string;
}
export interface RootKeyPath extends KeyRingPath {
  key: string;
}

const ID = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const KEY_RING = new RegExp(`^keyRings/(${ID})$`);
const ROOT_KEY = new RegExp(`^keyRings/(${ID})/keys/(${ID})$`);
const KEY_VERSION = new RegExp(`^keyRings/(${ID})/keys/(${ID})/versions/([1-9][0-9]{0,8})$`);
const IMPORT_JOB = new RegExp(`^keyRings/(${ID})/importJobs/(${ID})$`);
const GRANT = new RegExp(`^grants/(${UUID})$`);
const INSTANCE = new RegExp(`^instances/(?:-|${ID})$`);
const KEY_EVENT = new RegExp(`^keyEvents/(${UUID})$`);
const SCOPE = new RegExp(`^scopes/(${UUID})$`);
const MASTER_KEY = /^[0-9a-f]{16}$/;
const ONLY_ID = new RegExp(`^${ID}$`);
const ONLY_UUID = new RegExp(`^${UUID}$`);
const ID_RULE = '1 to 63 characters of a-z, 0-9 and hyphens, not starting or ending with a hyphen';

const match = (pattern: RegExp, text: string, field: string, shape: string): string[] => {
  const found = text.length <= 200 ? pattern.exec(text) : null;
  if (!found) throw invalid(field, `must be ${shape}`, 'MALFORMED_NAME');
  return found.slice(1);
};

export const parseKeyRing = (text: string, field: string): KeyRingPath => {
  const [keyRing = ''] = match(KEY_RING, text, field, `keyRings/{key_ring}, ${ID_RULE}`);
  return { keyRing };
};

export const parseRootKey = (text: string, field = 'name'): RootKeyPath => {
  const [keyRing = '', key = ''] = match(ROOT_KEY, text, field, `keyRings/{key_ring}/keys/{key}, each ID ${ID_RULE}`);
  return { keyRing, key };
};

export interface ImportJobPath extends KeyRingPath {
  job: string;
}

export const parseImportJob = (text: string, field = 'name'): ImportJobPath => {
  const [keyRing = '', job = ''] = match(IMPORT_JOB, text, field, `keyRings/{key_ring}/importJobs/{import_job}, each ID ${ID_RULE}`);
  return { keyRing, job };
};

export interface KeyVersionPath extends RootKeyPath {
  version: number;
}

export const parseKeyVersion = (text: string, field = 'name'): KeyVersionPath => {
  const [keyRing = '', key = '', version = ''] = match(
    KEY_VERSION,
    text,
    field,
    `keyRings/{key_ring}/keys/{key}/versions/{n}, each ID ${ID_RULE}`,
  );
  return { keyRing, key, version: Number(version) };
};

/** What a grant can be on. */
export const parseTarget = (text: string, field = 'target'): typeof ALL | KeyRingPath | RootKeyPath => {
  if (text === ALL) return ALL;
  return text.includes('/keys/') ? parseRootKey(text, field) : parseKeyRing(text, field);
};

/** The grant's uid. */
export const parseGrant = (text: string, field = 'name'): string =>
  match(GRANT, text, field, 'grants/{uid}, a UUID in lower case')[0] ?? '';

/** The name of an instance, as another service knows it; `instances/-` is any, where that is allowed. */
export const parseInstance = (text: string, field: string, any: 'any' | 'one'): string => {
  if (!INSTANCE.test(text) || (any === 'one' && text === ANY_INSTANCE))
    throw invalid(field, `must be instances/{instance}${any === 'any' ? ' or instances/-' : ''}, ${ID_RULE}`, 'MALFORMED_NAME');
  return text;
};

export const parseMasterKeyId = (text: string, field: string): string => {
  if (!MASTER_KEY.test(text)) throw invalid(field, 'must be 16 hexadecimal digits in lower case', 'MALFORMED_NAME');
  return text;
};

/** The scope's uid. */
export const parseScope = (text: string, field = 'name'): string =>
  match(SCOPE, text, field, 'scopes/{uid}, a UUID in lower case')[0] ?? '';

/** The event's uid. */
export const parseKeyEvent = (text: string, field: string): string =>
  match(KEY_EVENT, text, field, 'keyEvents/{uid}, a UUID in lower case')[0] ?? '';

export const parseId = (text: string, field: string): string => {
  if (!ONLY_ID.test(text)) throw invalid(field, `must be ${ID_RULE}`, 'MALFORMED_NAME');
  return text;
};

export const parseUuid = (text: string, field: string): string => {
  if (!ONLY_UUID.test(text)) throw invalid(field, 'must be a UUID in lower case');
  return text;
};

/** The number of a version. */
export const parseVersionNumber = (version: number, field: string): number => {
  if (version < 1) throw invalid(field, 'must be 1 or more');
  return version;
};

export const keyRingName = ({ keyRing }: KeyRingPath): string => `keyRings/${keyRing}`;
export const grantName = (uid: string): string => `grants/${uid}`;
export const rootKeyName = ({ keyRing, key }: RootKeyPath): string => `keyRings/${keyRing}/keys/${key}`;
export const keyVersionName = (p: KeyVersionPath): string => `${rootKeyName(p)}/versions/${p.version}`;
export const importJobName = ({ keyRing, job }: ImportJobPath): string => `keyRings/${keyRing}/importJobs/${job}`;
export const masterKeyName = (id: string): string => `masterKeys/${id}`;
export const keyEventName = (uid: string): string => `keyEvents/${uid}`;
export const scopeName = (uid: string): string => `scopes/${uid}`;
