// What versions are called beside their numbers: `latest` and `previous`, which follow from the newest number, and the aliases that
// callers put on them. Pure.
import { AppError, etagMismatch, invalid } from '../kernel/errors.ts';
import { parseId, type ResourceId, type VersionPath } from './names.ts';
import type { SecretRow } from './sql/secrets.ts';

export const MAX_ALIASES = 20;

/** How far each counts back from the newest version. */
export const BACK: Readonly<Record<string, number>> = { latest: 0, previous: 1 };

type Secret = Pick<SecretRow, 'latest_version' | 'version_aliases'>;

export const parseAlias = (text: string, field: string): ResourceId => {
  if (Object.hasOwn(BACK, text)) throw invalid(field, `${text} follows from the newest version and cannot be moved; choose another`);
  return parseId(text, field);
};

/** Undefined if nothing is called that. */
export const numberOf = (secret: Secret, version: VersionPath['version']): number | undefined => {
  if (typeof version === 'number') return version;
  const back = Object.hasOwn(BACK, version) ? BACK[version] : undefined;
  return back === undefined ? aliased(secret, version) : secret.latest_version - back;
};

const aliased = ({ version_aliases: aliases }: Secret, alias: string): number | undefined =>
  Object.hasOwn(aliases, alias) ? aliases[alias] : undefined;

export const aliasesOf = (secret: Secret, version: number): string[] => [
  ...Object.keys(BACK).filter((name) => numberOf(secret, name as ResourceId) === version),
  ...Object.keys(secret.version_aliases)
    .filter((alias) => secret.version_aliases[alias] === version)
    .sort(),
];

/** Where the alias is. Throws if the caller expected it elsewhere. */
export const checkExpected = (secret: Secret, name: string, alias: string, expected: number | undefined): number | undefined => {
  const version = aliased(secret, alias);
  if (expected !== undefined && expected !== (version ?? 0)) throw etagMismatch(`alias ${alias} of ${name}`);
  return version;
};

export const withAlias = (secret: Secret, name: string, alias: string, version: number): Record<string, number> => {
  const aliases = { ...secret.version_aliases, [alias]: version };
  if (Object.keys(aliases).length > MAX_ALIASES)
    throw new AppError('LIMIT_REACHED', `${name} has ${MAX_ALIASES} aliases, and no secret can have more; delete one that nobody uses`, {
      metadata: { resource: name, limit: String(MAX_ALIASES) },
    });
  return aliases;
};

export const withoutAlias = (secret: Secret, alias: string): Record<string, number> => {
  const { [alias]: _, ...others } = secret.version_aliases;
  return others;
};
