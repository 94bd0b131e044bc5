// Resource names: parsed into what they mean, or refused with the shape that was expected. Pure.
import { invalid } from '../kernel/errors.ts';

declare const id: unique symbol;
/** An ID chosen by a caller: 1-63 characters of `a-z0-9-`, starting with a letter, not ending in a hyphen. */
export type ResourceId = string & { readonly [id]: true };

export interface InstancePath {
  instance: ResourceId;
}
export interface GroupPath extends InstancePath {
  group: ResourceId;
}
export interface SecretPath extends GroupPath {
  secret: ResourceId;
}
export interface VersionPath extends SecretPath {
  /** Its number, or what it is called. */
  version: number | ResourceId;
}

const ID = '[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?';
const VERSION = `[1-9][0-9]{0,8}|${ID}`;
const INSTANCE = new RegExp(`^instances/(${ID})$`);
const GROUP = new RegExp(`^instances/(${ID})/groups/(${ID})$`);
const SECRET = new RegExp(`^instances/(${ID})/groups/(${ID})/secrets/(${ID})$`);
const SECRET_VERSION = new RegExp(`^instances/(${ID})/groups/(${ID})/secrets/(${ID})/versions/(${VERSION})$`);
const HOLD = new RegExp(`^(.+)/holds/(${ID})$`);
const LOCK = new RegExp(`^(.+)/locks/(${ID})$`);
const KEY_ID = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const ROOT_KEY = new RegExp(`^keyRings/(?!provider/)${KEY_ID}/keys/${KEY_ID}$`);
const ONLY_ID = new RegExp(`^${ID}$`);

const match = (pattern: RegExp, text: string, field: string, shape: string): ResourceId[] => {
  const found = text.length <= 360 ? pattern.exec(text) : null;
  if (!found)
    throw invalid(field, `must be ${shape}, each ID 1 to 63 characters of a-z, 0-9 and hyphens, starting with a letter`, 'MALFORMED_NAME');
  return found.slice(1) as ResourceId[];
};

export const parseId = (text: string, field: string): ResourceId => {
  if (!ONLY_ID.test(text))
    throw invalid(
      field,
      'must be 1 to 63 characters of a-z, 0-9 and hyphens, starting with a letter, not ending in a hyphen',
      'MALFORMED_NAME',
    );
  return text as ResourceId;
};

export const parseInstance = (text: string, field = 'name'): InstancePath => {
  const [instance] = match(INSTANCE, text, field, 'instances/{instance}') as [ResourceId];
  return { instance };
};

export const parseGroup = (text: string, field = 'name'): GroupPath => {
  const [instance, group] = match(GROUP, text, field, 'instances/{instance}/groups/{group}') as [ResourceId, ResourceId];
  return { instance, group };
};

export const parseSecret = (text: string, field = 'name'): SecretPath => {
  const shape = 'instances/{instance}/groups/{group}/secrets/{secret}';
  const [instance, group, secret] = match(SECRET, text, field, shape) as [ResourceId, ResourceId, ResourceId];
  return { instance, group, secret };
};

export const parseVersion = (text: string, field = 'name'): VersionPath => {
  const shape = 'instances/{instance}/groups/{group}/secrets/{secret}/versions/{version}, version a number or an alias';
  const [instance, group, secret, version] = match(SECRET_VERSION, text, field, shape) as [ResourceId, ResourceId, ResourceId, ResourceId];
  return { instance, group, secret, version: /^[1-9]/.test(version) ? Number(version) : version };
};

/** An instance, a group or a secret: what can be held, and what is deleted softly. */
export type ResourcePath = InstancePath | GroupPath | SecretPath;

export const parseResource = (text: string, field = 'name'): ResourcePath => {
  if (text.includes('/secrets/')) return parseSecret(text, field);
  return text.includes('/groups/') ? parseGroup(text, field) : parseInstance(text, field);
};

/** What permissions can be asked for; a version is looked at as its secret. */
export const parseTested = (text: string, field = 'resource'): 'system' | ResourcePath => {
  if (text === 'system') return text;
  return text.includes('/versions/') ? parseVersion(text, field) : parseResource(text, field);
};

/** By number: an alias may have moved since the caller looked. */
export const parseNumberedVersion = (text: string, field = 'name'): VersionPath & { version: number } => {
  const path = parseVersion(text, field);
  if (typeof path.version !== 'number') throw invalid(field, 'must give the version as a number', 'MALFORMED_NAME');
  return { ...path, version: path.version };
};

/** What can be deleted, and purged early. */
export type DeletablePath = ResourcePath | (VersionPath & { version: number });

export const parseDeletable = (text: string, field = 'name'): DeletablePath =>
  text.includes('/versions/') ? parseNumberedVersion(text, field) : parseResource(text, field);

export const parseHold = (text: string): { resource: ResourcePath; hold: ResourceId } => {
  const [resource, hold] = match(HOLD, text, 'name', '{resource}/holds/{hold}') as [string, ResourceId];
  return { resource: parseResource(resource), hold };
};

/** A customer's root key, as the key service names it. */
export const parseRootKey = (text: string, field: string): string => {
  if (!ROOT_KEY.test(text)) throw invalid(field, 'must be keyRings/{key_ring}/keys/{key} of a customer, or empty', 'MALFORMED_NAME');
  return text;
};

/** The lock of a version, which is given by its number. */
export const parseLock = (text: string): { version: VersionPath & { version: number }; lock: ResourceId } => {
  const [version, lock] = match(LOCK, text, 'name', '{version}/locks/{lock}') as [string, ResourceId];
  return { version: parseNumberedVersion(version), lock };
};

export const instanceName = (p: InstancePath): string => `instances/${p.instance}`;
export const groupName = (p: GroupPath): string => `${instanceName(p)}/groups/${p.group}`;
export const secretName = (p: SecretPath): string => `${groupName(p)}/secrets/${p.secret}`;
export const versionName = (p: SecretPath, version: number | string): string => `${secretName(p)}/versions/${version}`;

export const resourceName = (p: ResourcePath): string => {
  if ('secret' in p) return secretName(p);
  return 'group' in p ? groupName(p) : instanceName(p);
};
export const lockName = (version: string, lock: string): string => `${version}/locks/${lock}`;
export const holdName = (resource: string, hold: string): string => `${resource}/holds/${hold}`;

const PURGE = /^purges\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

/** The uid of the purged resource. */
export const parsePurge = (text: string): string => {
  const uid = PURGE.exec(text)?.[1];
  if (!uid) throw invalid('name', 'must be purges/{uid}, the UUID of the deleted resource', 'MALFORMED_NAME');
  return uid;
};
