// Holds: on what they are, and what they forbid. A purge takes its own resource for update and what is above for share, and
// so does a hold, its making and its end: so of a hold and the purge that it is in the way of, one sees the other.
import { Hold_Effect } from '../gen/strongroom/secrets/v1/hold_service.ts';
import type { Queryable } from '../kernel/db.ts';
import { AppError, invalid, notFound } from '../kernel/errors.ts';
import { locked } from './lock.ts';
import { groupName, holdName, instanceName, resourceName, type ResourcePath } from './names.ts';
import { selectBlocking, type Effect } from './sql/holds.ts';
import { selectLockAt } from './sql/version-locks.ts';
import { lockInstance, selectInstance } from './sql/instances.ts';
import type { Place } from './sql/place.ts';
import { lockGroup, selectGroup } from './sql/secret-groups.ts';
import { lockSecret, selectSecret } from './sql/secrets.ts';
import { purgeStarted, type State } from './state.ts';

export const EFFECTS: Readonly<Record<Effect, Hold_Effect>> = { PURGE: Hold_Effect.PURGE, DELETE: Hold_Effect.DELETE };

export const parseEffect = (message: Hold_Effect, field: string): Effect => {
  const effect = (Object.keys(EFFECTS) as Effect[]).find((one) => EFFECTS[one] === message);
  if (!effect) throw invalid(field, `must be ${Object.keys(EFFECTS).join(' or ')}`);
  return effect;
};

interface Row {
  instance_uid: string;
  group_uid?: string;
  secret_uid?: string;
  state: State;
  group_state?: State;
  instance_state?: State;
}

export const placeOf = (row: Pick<Row, 'instance_uid' | 'group_uid' | 'secret_uid'>): Place => ({
  instance_uid: row.instance_uid,
  group_uid: row.group_uid ?? null,
  secret_uid: row.secret_uid ?? null,
});

const SELECT = { instance: selectInstance, group: selectGroup, secret: selectSecret };
const LOCK = { instance: lockInstance, group: lockGroup, secret: lockSecret };

const load = async (db: Queryable, path: ResourcePath, by: typeof SELECT): Promise<Row> => {
  let row: Row | undefined;
  if ('secret' in path) row = await by.secret(db, path);
  else row = 'group' in path ? await by.group(db, path) : await by.instance(db, path);
  if (!row) throw notFound('resource', resourceName(path));
  return row;
};

/** The place of a resource, also of one that is deleted, or below something deleted. */
export const loadPlace = async (db: Queryable, path: ResourcePath): Promise<Place> => placeOf(await load(db, path, SELECT));

/** The same for a change of its holds; nobody can begin its purge meanwhile. */
export const lockPlace = async (tx: Queryable, path: ResourcePath): Promise<Place> => {
  const row = await load(tx, path, LOCK);
  if (row.instance_state === 'PURGING') throw purgeStarted(instanceName(path));
  if (row.group_state === 'PURGING' && 'group' in path) throw purgeStarted(groupName(path));
  if (row.state === 'PURGING') throw purgeStarted(resourceName(path));
  return placeOf(row);
};

const FORBIDDEN: Readonly<Record<'delete' | 'purge', Effect | undefined>> = { delete: 'DELETE', purge: undefined };

/** A hold that forbids to do this at the place. To be called when the resource is locked. */
export const findHold = (tx: Queryable, place: Place, what: 'delete' | 'purge') => selectBlocking(tx, place, FORBIDDEN[what]);

/** Throws if a hold, or a lock on a version at the place or on this one, forbids to do this to the resource. To be called when the resource is locked. */
export const assertNotHeld = async (
  tx: Queryable,
  place: Place,
  name: string,
  what: 'delete' | 'purge',
  version?: number,
): Promise<void> => {
  const [hold, lock] = await Promise.all([findHold(tx, place, what), selectLockAt(tx, place, version)]);
  if (lock) throw locked(name, lock);
  if (!hold) return;
  const by = holdName(hold.resource, hold.hold_id);
  throw new AppError('RESOURCE_HELD', `${name} is held by ${by}; find out why, and delete that hold first`, {
    metadata: { resource: name, hold: by },
  });
};
