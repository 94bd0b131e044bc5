// What can be purged early, locked: deleted resources of every kind, with all that decides whether they may.
import type { Queryable } from '../kernel/db.ts';
import { notFound } from '../kernel/errors.ts';
import { placeOf } from './hold.ts';
import { loadVersion } from './load.ts';
import type { DeletablePath } from './names.ts';
import { expediteInstance, lockInstance } from './sql/instances.ts';
import type { Place } from './sql/place.ts';
import { versionPurgeUid } from './sql/purges.ts';
import { expediteGroup, lockGroup } from './sql/secret-groups.ts';
import { expediteVersion } from './sql/secret-versions.ts';
import { expediteSecret, lockSecret } from './sql/secrets.ts';
import { assertDeleted, assertScheduled } from './state.ts';

interface Deleted {
  /** Of the purge. */
  uid: string;
  place: Place;
  isProtected: boolean;
  /** Says at the resource what is said at its purge. */
  setDue: () => Promise<unknown>;
}

/** What is above may be deleted as well. */
export const lockDeleted = async (tx: Queryable, path: DeletablePath, name: string): Promise<Deleted> => {
  const of = (row: Parameters<typeof placeOf>[0] & { purge_protection: boolean }) => ({
    place: placeOf(row),
    isProtected: row.purge_protection,
  });
  if (!('group' in path)) {
    const row = await lockInstance(tx, path);
    if (!row) throw notFound('instance', name);
    assertDeleted(name, row.state);
    return { ...of(row), uid: row.instance_uid, setDue: () => expediteInstance(tx, row.instance_uid) };
  }
  if (!('secret' in path)) {
    const row = await lockGroup(tx, path);
    if (!row) throw notFound('group', name);
    assertDeleted(name, row.state);
    return { ...of(row), uid: row.group_uid, setDue: () => expediteGroup(tx, row) };
  }
  const row = await lockSecret(tx, path);
  if (!row) throw notFound('secret', name);
  if (!('version' in path)) {
    assertDeleted(name, row.state);
    return { ...of(row), uid: row.secret_uid, setDue: () => expediteSecret(tx, row) };
  }
  const { state, version } = await loadVersion(tx, path, row);
  assertScheduled(name, state);
  return { ...of(row), uid: versionPurgeUid(row.secret_uid, version), setDue: () => expediteVersion(tx, row, version) };
};
