// Locks on versions: what is said to who runs into one, and how they are named in requests.
import { CreateSecretLockRequest_Mode as Mode, type SecretLock } from '../gen/strongroom/secrets/v1/secret_lock_service.ts';
import { AppError, invalid } from '../kernel/errors.ts';
import { checkAnnotations, checkText } from '../kernel/fields.ts';
import { parseId, parseSecret, parseVersion, type SecretPath, type VersionPath } from './names.ts';

export const MAX_LOCKS = 1_000;
const MAX_ATTRIBUTES = 16;

export const locked = (name: string, lock: string): AppError =>
  new AppError('LOCKED', `${name} is locked by ${lock}; find out who uses it, and delete that lock first`, {
    metadata: { resource: name, lock },
  });

export const rotationGuarded = (name: string, lock: string): AppError =>
  new AppError('LOCKED', `${name} gets no new version while ${lock} is on an old one; move it to the newest version first`, {
    metadata: { resource: name, lock },
  });

export const tooManyLocks = (name: string): AppError =>
  new AppError('LIMIT_REACHED', `${name} has ${MAX_LOCKS} locks, and no secret can have more; delete those that nobody needs`, {
    metadata: { resource: name, limit: String(MAX_LOCKS) },
  });

/** A secret, or one version of it. */
export const parseLocked = (text: string, field: string): SecretPath | VersionPath =>
  text.includes('/versions/') ? parseVersion(text, field) : parseSecret(text, field);

export const parsePattern = (pattern: string, field: string): { id: string; isPrefix: boolean } => {
  const isPrefix = pattern.endsWith('*');
  const id = isPrefix ? pattern.slice(0, -1) : pattern;
  if (isPrefix ? !/^([a-z][a-z0-9-]{0,62})?$/.test(id) : !parseId(pattern, field))
    throw invalid(field, 'must be an ID, or the beginning of one followed by *', 'MALFORMED_NAME');
  return { id, isPrefix };
};

export const parseMode = (mode: Mode): Mode => {
  if (!(Object.values(Mode) as number[]).includes(mode)) throw invalid('mode', 'must be REMOVE_OLDER, REMOVE_OLDER_AND_DESTROY, or absent');
  return mode;
};

/** What a caller says of a lock, checked. */
export const parseLockFields = (given: SecretLock | undefined) => {
  const attributes = given?.attributes ?? new Map<string, string>();
  if (attributes.size > MAX_ATTRIBUTES)
    throw invalid('lock.attributes', `has ${attributes.size} entries; at most ${MAX_ATTRIBUTES} are taken`);
  return {
    description: checkText(given?.description ?? '', 'lock.description', 1024),
    attributes: checkAnnotations(attributes, 'lock.attributes'),
    rotation_guard: given?.rotationGuard ?? false,
  };
};
