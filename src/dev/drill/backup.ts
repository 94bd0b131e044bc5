// A base backup as PostgreSQL's documentation tells to make one (Continuous Archiving, low-level API): the data directory
// copied while the server runs, between pg_backup_start and pg_backup_stop, and the WAL of that time.
import { copyFileSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../provision.ts';
import type { Stack } from '../stack.ts';
import { copyTree } from './files.ts';
import { dataPlaceOf } from './restored.ts';

/** Of this server process, or made anew at a start. */
const SKIPPED_FILES = /(^|\/)(postmaster\.(pid|opts)|pg_internal\.init.*|pgsql_tmp.*)$/;
const SKIPPED_CONTENT = /^(pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)\/./;

/** Answers how many WAL files belong to it. */
export const takeBaseBackup = async (stack: Stack, to: string): Promise<number> => {
  const { data, account } = dataPlaceOf(stack);
  const client = await connect(stack, 'postgres', 'superuser');
  try {
    // Both in one session: a backup whose session ends is given up.
    const [start] = (
      await client.query<{ wal: string }>(`select pg_walfile_name(lsn) as wal from pg_backup_start('drill', fast => true) as lsn`)
    ).rows;
    copyTree(data, to, account, (path) => SKIPPED_FILES.test(path) || SKIPPED_CONTENT.test(path));
    const [stop] = (
      await client.query<{ wal: string; labelfile: string }>(
        'select pg_walfile_name(lsn) as wal, labelfile from pg_backup_stop(wait_for_archive => false)',
      )
    ).rows;
    if (!start || !stop) throw new Error('PostgreSQL did not say what its backup needs');
    writeFileSync(join(to, 'backup_label'), stop.labelfile, { mode: 0o600 });
    if (account) chownSync(join(to, 'backup_label'), account.uid, account.gid);

    const needed = readdirSync(join(data, 'pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name) && name >= start.wal && name <= stop.wal);
    if (!needed.includes(start.wal) || !needed.includes(stop.wal)) throw new Error('PostgreSQL has removed WAL that the backup needs');
    mkdirSync(join(to, 'pg_wal'), { recursive: true });
    for (const name of needed) {
      copyFileSync(join(data, 'pg_wal', name), join(to, 'pg_wal', name));
      if (account) chownSync(join(to, 'pg_wal', name), account.uid, account.gid);
    }
    return needed.length;
  } finally {
    await client.end();
  }
};

/** As it stands in a stopped stack, or in a backup, into one that has no data yet. The WAL is replayed at its start. */
export const restoreDataDirectory = (from: string, stack: Stack): void => {
  const { data, account } = dataPlaceOf(stack);
  copyTree(from, data, account, (path) => SKIPPED_FILES.test(path));
};
