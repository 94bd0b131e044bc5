// The destruction of a version: at once, or after the instance's retention for versions, with the purge that ends it.
import type { Transaction } from '../kernel/db.ts';
import type { Attributes } from '../kernel/facts.ts';
import type { Action } from '../kernel/table.ts';
import { placeOf } from './hold.ts';
import { pathOf } from './messages.ts';
import { versionName } from './names.ts';
import { schedulePurge, versionPurgeUid } from './sql/purges.ts';
import { destroyVersion, scheduleVersion, type VersionRow } from './sql/secret-versions.ts';
import type { SecretRow } from './sql/secrets.ts';

/** For the entry of one that is destroyed on another call than its own. */
export const DESTROY: Action = { action: 'secrets.version.destroy', audit: 'write', facts: ['version', 'purge'] };

interface Destroyed {
  row: VersionRow;
  attributes: Attributes;
}

/** To be called with the secret locked, for a version that is neither destroyed nor about to be, when nothing stands against it. */
export const destroy = async (tx: Transaction, secret: SecretRow, version: number, by: string): Promise<Destroyed> => {
  const after = secret.version_retention_seconds;
  const attributes = { version: String(version) };
  if (after === 0) return { row: await destroyVersion(tx, secret, version), attributes };
  const row = await scheduleVersion(tx, secret, version, after);
  const uid = versionPurgeUid(secret.secret_uid, version);
  const purge = { ...placeOf(secret), uid, kind: 'VERSION', version, resource: versionName(pathOf(secret), version) } as const;
  await schedulePurge(tx, { ...purge, purgeTime: row.purge_time!, deletedBy: by });
  return { row, attributes: { ...attributes, purge: `purges/${uid}` } };
};

/** What stands against it: with a retention it is a delete, at once a purge. */
export const destructionOf = (secret: SecretRow): 'delete' | 'purge' => (secret.version_retention_seconds === 0 ? 'purge' : 'delete');
