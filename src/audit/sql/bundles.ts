// Table `entries`, as bundles of tlog-tiles: packed by the database, so that an export does not handle every entry.
import type { Queryable } from '../../kernel/db.ts';

export interface BundleRow {
  tile: bigint;
  /** How many entries still have their bytes. */
  entries: number;
  bundle: Buffer | null;
}

/** The bundles of the entries [from, end); one whose entries are all gone may be absent. */
export const selectBundles = (db: Queryable, from: bigint, end: bigint): Promise<BundleRow[]> => {
  const text = `select index / 256 as tile, count(leaf)::int as entries,
      string_agg(substring(int4send(length(leaf)) from 3) || leaf, ''::bytea order by index) as bundle
    from entries where index >= $1 and index < $2 group by 1 order by 1`;
  return db.query<BundleRow>({ name: 'audit.selectBundles', text, values: [from, end] });
};
