// Resource names of the key service, parsed or refused with the shape that was expected. Pure.
import { invalid } from '../kernel/errors.ts';

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

export const parseMasterKeyId = (text: string, field: string): string => {
  if (!MASTER_KEY.test(text)) throw invalid(field, 'must be 16 hexadecimal digits in lower case', 'MALFORMED_NAME');
  return text;
};

/** The scope's uid. */
export const parseScope = (text: string, field = 'name'): string =>
  match(SCOPE, text, field, 'scopes/{uid}, a UUID in lower case')[0] ?? '';

export const parseId = (text: string, field: string): string => {
  if (!ONLY_ID.test(text)) throw invalid(field, `must be ${ID_RULE}`, 'MALFORMED_NAME');
  return text;
};

export const parseUuid = (text: string, field: string): string => {
  if (!ONLY_UUID.test(text)) throw invalid(field, 'must be a UUID in lower case');
  return text;
};

/** The number of a version of a key. */
export const parseKeyVersion = (version: number, field: string): number => {
  if (version < 1) throw invalid(field, 'must be 1 or more');
  return version;
};

export const rootKeyName = ({ keyRing, key }: RootKeyPath): string => `keyRings/${keyRing}/keys/${key}`;
export const masterKeyName = (id: string): string => `masterKeys/${id}`;
export const scopeName = (uid: string): string => `scopes/${uid}`;
