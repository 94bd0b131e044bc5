// The tables of the key service as a backup has them: all rows, as text, taken and brought back past every service.
export interface Sql {
  readonly sql: <Row extends object>(text: string, values?: unknown[]) => Promise<Row[]>;
}

/** In the order in which they can be filled. */
const TABLES = [
  'master_keys',
  'key_rings',
  'root_keys',
  'key_names',
  'root_key_versions',
  'grants',
  'import_jobs',
  'scopes',
  'scope_versions',
  'keys_epoch',
  'destructions_confirmed',
  'outbox',
] as const;

export type KeysBackup = Readonly<Record<string, string>>;

export const backUp = async ({ sql }: Sql): Promise<KeysBackup> => {
  const [row] = await sql<KeysBackup>(
    `select ${TABLES.map((table) => `(select coalesce(json_agg(t), '[]')::text from ${table} t) as ${table}`).join(', ')}`,
  );
  return row ?? {};
};

/** In one transaction, whatever was there before. */
export const bringBack = async ({ sql }: Sql, backup: KeysBackup): Promise<void> => {
  const fill = async (table: string): Promise<string> => {
    const columns = await sql<{ name: string }>(
      `select quote_ident(attname) as name from pg_attribute
        where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
      [table],
    );
    const names = columns.map(({ name }) => name).join(', ');
    const literal = `'${(backup[table] ?? '[]').replaceAll("'", "''")}'`;
    return `insert into ${table} (${names}) overriding system value select ${names} from json_populate_recordset(null::${table}, ${literal})`;
  };
  const fills: string[] = [];
  for (const table of TABLES) fills.push(await fill(table));
  await sql(`begin; truncate ${TABLES.join(', ')} cascade; ${fills.join('; ')}; commit`);
};
