// Looks for bytes in files, in every form in which they could have been written: of secret values, which must be nowhere,
// and of ciphertext and wrapped keys, of which it tells where they still are.
import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../provision.ts';
import type { Stack } from '../stack.ts';
import type { Item, ItemId, Made } from './items.ts';
import { PURGED } from './items.ts';

/** Of base64 text that has the value somewhere in the middle: what is the same whatever stands before and after. */
const base64At = (value: Buffer, before: number): string => {
  const text = Buffer.concat([Buffer.alloc(before), value]).toString('base64');
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + value.length) * 8) / 6));
};

/** As it is, hexadecimal, base64 of both alphabets at each offset, UTF-16 of all these texts. */
export const formsOf = (value: Buffer): Buffer[] => {
  const base64 = [0, 1, 2].map((before) => base64At(value, before));
  const texts = new Set([
    value.toString('hex'),
    value.toString('hex').toUpperCase(),
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ]);
  return [value, ...[...texts].flatMap((text) => [Buffer.from(text, 'latin1'), Buffer.from(text, 'utf16le')])];
};

export interface Needle {
  /** What it is one of. */
  kind: string;
  forms: readonly Buffer[];
}

const CHUNK = 32 * 1024 * 1024;

const filesBelow = (place: string): string[] => {
  if (!existsSync(place)) return [];
  if (!statSync(place).isDirectory()) return [place];
  return readdirSync(place, { recursive: true, encoding: 'utf8' })
    .map((name) => join(place, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
};

/** Which of the needles are below these places. */
export const find = (places: readonly string[], needles: readonly Needle[]): Set<Needle> => {
  const found = new Set<Needle>();
  const overlap = Math.max(...needles.flatMap(({ forms }) => forms.map(({ length }) => length)));
  const buffer = Buffer.alloc(CHUNK + overlap);
  for (const file of places.flatMap(filesBelow)) {
    const descriptor = openSync(file, 'r');
    try {
      for (let at = 0; ; at += CHUNK) {
        const bytes = buffer.subarray(0, readSync(descriptor, buffer, 0, buffer.length, at));
        for (const needle of needles) if (!found.has(needle) && needle.forms.some((form) => bytes.includes(form))) found.add(needle);
        if (bytes.length < buffer.length) break;
      }
    } finally {
      closeSync(descriptor);
    }
  }
  return found;
};

export const KINDS = ['secret values', 'sealed payloads', 'wrapped data keys', 'wrapped scope keys', 'sealed root keys'] as const;

/** Enough to be nobody else's, and too short to be cut in two by a page very often. */
const cut = (bytes: Buffer, from: number): Buffer => bytes.subarray(from, from + 32);

/** What to look for: the values, and the bytes that protect what will be purged, as they stand in the databases now. */
export const needlesOf = async (
  stack: Stack,
  { items, marker }: Pick<Made, 'marker'> & { items: Partial<Record<ItemId, Item>> },
): Promise<Needle[]> => {
  const text = Buffer.from(marker.toString('hex'), 'latin1');
  const needles: Needle[] = [{ kind: 'secret values', forms: [...formsOf(marker), ...formsOf(text)] }];
  const [store, keys] = [await connect(stack, 'store', 'superuser'), await connect(stack, 'keys', 'superuser')];
  // Hexadecimal is how a dump writes bytes.
  const add = (kind: (typeof KINDS)[number], bytes: Buffer) =>
    void needles.push({ kind, forms: [bytes, Buffer.from(bytes.toString('hex'), 'latin1')] });
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
