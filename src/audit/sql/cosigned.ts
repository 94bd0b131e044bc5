// Table `cosigned`: the newest checkpoint that the witnesses have cosigned.
import type { Queryable } from '../../kernel/db.ts';
import type { Signed } from '../publication.ts';

export const selectCosigned = async (db: Queryable): Promise<Signed | undefined> => {
  const text = 'select size, root, note from cosigned';
  return (await db.query<Signed>({ name: 'audit.selectCosigned', text }))[0];
};

/** Keeps the newest: another process may have come first with a later one. */
export const putCosigned = async (db: Queryable, { size, root, note }: Signed): Promise<void> => {
  const text = `insert into cosigned (size, root, note) values ($1, $2, $3)
    on conflict (only_row) do update set size = $1, root = $2, note = $3 where cosigned.size <= $1`;
  await db.query({ name: 'audit.putCosigned', text, values: [size, root, note] });
};
