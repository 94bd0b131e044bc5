// IDs of secrets from the names that they have elsewhere, and what stands against that. Pure.

/** As the store wants them: a test holds both together. */
const ID = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Lower case, with a hyphen for whatever an ID cannot have: `DB_PASSWORD` and `db/password` are both `db-password`. */
export const idOf = (name: string): string =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');

/** One line for each name that has no ID of its own. */
export const problemsOf = (names: readonly string[]): string[] => {
  const byId = Map.groupBy(names, idOf);
  const malformed = names
    .filter((name) => !ID.test(idOf(name)))
    .map((name) => `${JSON.stringify(name)} makes no ID: 1 to 63 characters of a-z, 0-9 and hyphens, starting with a letter`);
  const shared = [...byId]
    .filter(([, sharing]) => sharing.length > 1)
    .map(([id, sharing]) => `${sharing.map((name) => JSON.stringify(name)).join(' and ')} would both be ${id}`);
  return [...malformed, ...shared];
};
