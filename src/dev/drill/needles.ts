// What a drill looks for, and where: secret values, which must be nowhere, and ciphertext and wrapped keys, of which it tells
// where they still are.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { formsOf, type Needle } from '../hunt.ts';
import { connect } from '../provision.ts';
import type { Stack } from '../stack.ts';
import { PURGED, type Item, type ItemId, type Made } from './items.ts';

export const KINDS = ['secret values', 'sealed payloads', 'wrapped data keys', 'wrapped scope keys', 'sealed root keys'] as const;

/** Enough to be nobody else's, and too short to be cut in two by a page very often. */
const cut = (bytes: Buffer, from: number): Buffer => bytes.subarray(from, from + 32);

/** What to look for: the values, and the bytes that protect what will be purged, as they stand in the databases now. */
export const needlesOf = async (
  stack: Stack,
  { items, marker }: Pick<Made, 'marker'> & { items: Partial<Record<ItemId, Item>> },
): Promise<Needle[]> => {
  const text = Buffer.from(marker.toString('hex'), 'latin1');
  const needles: Needle[] = [{ what: 'secret values', forms: [...formsOf(marker), ...formsOf(text)] }];
  const [store, keys] = [await connect(stack, 'store', 'superuser'), await connect(stack, 'keys', 'superuser')];
  // Hexadecimal is how a dump writes bytes.
  const add = (what: (typeof KINDS)[number], bytes: Buffer) =>
    void needles.push({ what, forms: [bytes, Buffer.from(bytes.toString('hex'), 'latin1')] });
  try {
    for (const id of PURGED) {
      const item = items[id];
      if (!item) continue;
      const uids = item.secrets.map(({ uid }) => uid);
      const versions = `select sealed, wrapped_dek from secret_versions where secret_uid = any($1) order by secret_uid, version`;
      for (const row of (await store.query<{ sealed: Buffer; wrapped_dek: Buffer }>(versions, [uids])).rows) {
        add('sealed payloads', cut(row.sealed, 13));
        add('wrapped data keys', cut(row.wrapped_dek, 1));
      }
      if (id === 'secret') continue;
      const scope = await keys.query<{ wrapped_key: Buffer }>('select wrapped_key from scope_versions where scope_uid = $1', [
        item.group.uid,
      ]);
      add('wrapped scope keys', cut(scope.rows[0]!.wrapped_key, 2));
      if (id !== 'instance') continue;
      const root = 'select ref from root_key_versions join root_keys using (key_uid) where owner = $1';
      add('sealed root keys', cut((await keys.query<{ ref: Buffer }>(root, [item.resource.uid])).rows[0]!.ref, 9));
    }
  } finally {
    await Promise.all([store.end(), keys.end()]);
  }
  return needles;
};

/** PostgreSQL's tables and indexes, and its WAL. */
export const placesOf = (data: string): Record<'tables' | 'WAL', string[]> => ({
  tables: [join(data, 'base'), join(data, 'global')],
  WAL: [join(data, 'pg_wal')],
});

export const logsOf = (stack: Stack): string[] =>
  readdirSync(stack.state)
    .filter((name) => /\.(log|err)$/.test(name))
    .map((name) => join(stack.state, name));
