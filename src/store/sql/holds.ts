// Table `holds`.
import type { Queryable } from '../../kernel/db.ts';
import { inLine, valuesOf, type Place } from './place.ts';

export type Effect = 'PURGE' | 'DELETE';

export interface HoldRow extends Place {
  resource: string;
  hold_id: string;
  effect: Effect;
  reason: string;
  created_by: string;
  create_time: Date;
}

const COLUMNS = 'instance_uid, group_uid, secret_uid, resource, hold_id, effect, reason, created_by, create_time';

/** Undefined if the ID is taken. */
export const insertHold = async (tx: Queryable, h: Omit<HoldRow, 'create_time'>): Promise<HoldRow | undefined> => {
  const text = `insert into holds (instance_uid, group_uid, secret_uid, resource, hold_id, effect, reason, created_by)
    values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing returning ${COLUMNS}`;
  const values = [...valuesOf(h), h.resource, h.hold_id, h.effect, h.reason, h.created_by];
  return (await tx.query<HoldRow>({ name: 'store.insertHold', text, values }))[0];
};

type Resource = Pick<HoldRow, 'instance_uid' | 'resource'>;

export const selectHold = async (db: Queryable, { instance_uid, resource }: Resource, holdId: string): Promise<HoldRow | undefined> => {
  const text = `select ${COLUMNS} from holds where instance_uid = $1 and resource = $2 and hold_id = $3`;
  return (await db.query<HoldRow>({ name: 'store.selectHold', text, values: [instance_uid, resource, holdId] }))[0];
};

export const listHolds = (db: Queryable, { instance_uid, resource }: Resource, after: string, limit: number): Promise<HoldRow[]> => {
  const text = `select ${COLUMNS} from holds where instance_uid = $1 and resource = $2 and hold_id > $3 order by hold_id limit $4`;
  return db.query<HoldRow>({ name: 'store.listHolds', text, values: [instance_uid, resource, after, limit] });
};

/** False if there is none. */
export const deleteHold = async (tx: Queryable, { instance_uid, resource }: Resource, holdId: string): Promise<boolean> => {
  const text = 'delete from holds where instance_uid = $1 and resource = $2 and hold_id = $3 returning hold_id';
  return (await tx.query({ name: 'store.deleteHold', text, values: [instance_uid, resource, holdId] })).length === 1;
};

/** Purges that have waited for a hold at this place ask again whether they may begin. */
export const releaseHeld = async (tx: Queryable, place: Place): Promise<void> => {
  await tx.query({ name: 'store.releaseHeld', text: 'select release_held($1, $2, $3)', values: valuesOf(place) });
};

/** One hold that stands against something at this place: any, or only one that forbids the delete. */
export const selectBlocking = async (tx: Queryable, place: Place, effect?: Effect): Promise<HoldRow | undefined> => {
  const text = `select ${COLUMNS} from holds h where ${inLine('h', '$1', '$2::uuid', '$3::uuid')} and ($4::text is null or effect = $4)
    order by resource, hold_id limit 1`;
  return (await tx.query<HoldRow>({ name: 'store.selectBlocking', text, values: [...valuesOf(place), effect] }))[0];
};
