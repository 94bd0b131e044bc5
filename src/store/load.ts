// Loads a resource for a handler, or says why it cannot be used: absent, or hidden by a deleted parent. The caller has
// been authorized on the scope, so NOT_FOUND tells him nothing he may not know.
import type { Queryable } from '../kernel/db.ts';
import { AppError, notFound } from '../kernel/errors.ts';
import { numberOf } from './aliases.ts';
import {
  groupName,
  instanceName,
  secretName,
  versionName,
  type GroupPath,
  type InstancePath,
  type SecretPath,
  type VersionPath,
} from './names.ts';
import { selectInstance, type InstanceRow } from './sql/instances.ts';
import { isRetired } from './sql/purges.ts';
import { selectGroup, type GroupRow } from './sql/secret-groups.ts';
import { selectVersion, type VersionRow } from './sql/secret-versions.ts';
import { selectSecret, type SecretRow } from './sql/secrets.ts';
import { assertUnexpired } from './expiration.ts';
import { assertActive, type State } from './state.ts';

type Select<Path, Row> = (db: Queryable, path: Path) => Promise<Row | undefined>;

export const loadInstance = async (db: Queryable, path: InstancePath, select: Select<InstancePath, InstanceRow> = selectInstance) => {
  const row = await select(db, path);
  if (!row) throw notFound('instance', instanceName(path));
  return row;
};

export const loadGroup = async (db: Queryable, path: GroupPath, select: Select<GroupPath, GroupRow> = selectGroup) => {
  const row = await select(db, path);
  if (!row) throw notFound('group', groupName(path));
  assertActive(instanceName(path), row.instance_state);
  return row;
};

/** For what is below a group. */
export const loadActiveGroup = async (db: Queryable, path: GroupPath, select: Select<GroupPath, GroupRow> = selectGroup) => {
  const row = await loadGroup(db, path, select);
  assertActive(groupName(path), row.state);
  return row;
};

export const assertAbove = (path: SecretPath, row: { instance_state: State; group_state: State }): void => {
  assertActive(instanceName(path), row.instance_state);
  assertActive(groupName(path), row.group_state);
};

export const loadSecret = async (db: Queryable, path: SecretPath, select: Select<SecretPath, SecretRow> = selectSecret) => {
  const row = await select(db, path);
  if (!row) throw notFound('secret', secretName(path));
  assertAbove(path, row);
  return row;
};

/** For what is below a secret. */
export const loadActiveSecret = async (db: Queryable, path: SecretPath, select: Select<SecretPath, SecretRow> = selectSecret) => {
  const row = await loadSecret(db, path, select);
  assertUnexpired(secretName(path), row.is_expired);
  assertActive(secretName(path), row.state);
  return row;
};

export const loadVersion = async (db: Queryable, path: VersionPath, secret: SecretRow): Promise<VersionRow> => {
  const number = numberOf(secret, path.version);
  const row = number === undefined ? undefined : await selectVersion(db, secret, number);
  if (!row) throw notFound('version', versionName(path, path.version));
  return row;
};

/** Names are never used again: an audit entry or a binding must not come to mean something else. But a secret may come back to its own. */
export const assertNew = async (db: Queryable, name: string, secretUid?: string): Promise<void> => {
  if (await isRetired(db, name, secretUid)) {
    throw new AppError('NAME_RETIRED', `${name} was purged or moved, and its name is never used again; choose another`, {
      metadata: { resource: name },
    });
  }
};

export const exists = (name: string): AppError =>
  new AppError('ALREADY_EXISTS', `${name} exists already`, { metadata: { resource: name } });

/** The create was under way for so long that the worker took it for dead. */
export const givenUp = (name: string): AppError =>
  new AppError('CONFLICT', `the create of ${name} took too long, and what it had made was removed; try again`, {
    metadata: { resource: name },
  });
