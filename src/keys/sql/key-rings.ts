// Table `key_rings`.
import type { Queryable } from '../../kernel/db.ts';
import type { KeyRingPath } from '../names.ts';

export interface KeyRingSettings {
  display_name: string;
  description: string;
  labels: Record<string, string>;
}

export interface KeyRingRow extends KeyRingSettings {
  key_ring: string;
  ring_uid: string;
  revision: bigint;
  create_time: Date;
  update_time: Date;
}

const COLUMNS = 'key_ring, ring_uid, display_name, description, labels, revision, create_time, update_time';

export const selectKeyRing = async (db: Queryable, { keyRing }: KeyRingPath): Promise<KeyRingRow | undefined> => {
  const text = `select ${COLUMNS} from key_rings where key_ring = $1`;
  return (await db.query<KeyRingRow>({ name: 'keys.selectKeyRing', text, values: [keyRing] }))[0];
};

export const lockKeyRing = async (tx: Queryable, { keyRing }: KeyRingPath): Promise<KeyRingRow | undefined> => {
  const text = `select ${COLUMNS} from key_rings where key_ring = $1 for update`;
  return (await tx.query<KeyRingRow>({ name: 'keys.lockKeyRing', text, values: [keyRing] }))[0];
};

export const listKeyRings = (db: Queryable, after: string, limit: number): Promise<KeyRingRow[]> => {
  const text = `select ${COLUMNS} from key_rings where key_ring > $1 order by key_ring limit $2`;
  return db.query<KeyRingRow>({ name: 'keys.listKeyRings', text, values: [after, limit] });
};

/** False if the name is taken. */
export const insertKeyRing = async (tx: Queryable, keyRing: string, ringUid: string, s: KeyRingSettings): Promise<boolean> => {
  const text = `insert into key_rings (key_ring, ring_uid, display_name, description, labels) values ($1, $2, $3, $4, $5)
    on conflict do nothing returning key_ring`;
  const values = [keyRing, ringUid, s.display_name, s.description, JSON.stringify(s.labels)];
  return (await tx.query({ name: 'keys.insertKeyRing', text, values })).length === 1;
};

export const updateKeyRing = async (tx: Queryable, keyRing: string, s: KeyRingSettings): Promise<void> => {
  const text = `update key_rings set display_name = $2, description = $3, labels = $4, revision = revision + 1, update_time = now()
    where key_ring = $1`;
  await tx.query({ name: 'keys.updateKeyRing', text, values: [keyRing, s.display_name, s.description, JSON.stringify(s.labels)] });
};
