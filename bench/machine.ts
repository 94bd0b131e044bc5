// What the figures depend on besides the code: the machine, its disk, its versions, and who else was using it.
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { connect } from '../src/dev/provision.ts';
import { ROOT, type Stack } from '../src/dev/stack.ts';

export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  node: string;
  postgres: string;
  /** PostgreSQL's settings without which a commit is no promise. */
  durability: Record<string, string>;
  /** One 8 KiB write and fdatasync where PostgreSQL has its data, microseconds. */
  fdatasync: { median: number; p99: number };
  /** Over the minute before. */
  loadBefore: number;
  commit: string;
}

const SYNCS = 300;

const measureSync = (folder: string): Machine['fdatasync'] => {
  const file = join(folder, 'sync.tmp');
  const page = Buffer.alloc(8192, 1);
  const descriptor = openSync(file, 'w');
  try {
    const times = Array.from({ length: SYNCS }, () => {
      const start = performance.now();
      writeSync(descriptor, page, 0, page.length, 0);
      fdatasyncSync(descriptor);
      return (performance.now() - start) * 1_000;
    }).sort((a, b) => a - b);
    return { median: Math.round(times[SYNCS / 2]!), p99: Math.round(times[Math.floor(SYNCS * 0.99)]!) };
  } finally {
    closeSync(descriptor);
    rmSync(file);
  }
};

const commitOf = (): string => {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return `${git('rev-parse', '--short=12', 'HEAD')}${git('status', '--porcelain', '--', 'src') === '' ? '' : ' with changes'}`;
  } catch {
    return 'unknown';
  }
};

const askPostgres = async (stack: Stack): Promise<Pick<Machine, 'postgres' | 'durability'>> => {
  const client = await connect(stack, 'store', 'owner');
  try {
    const names = ['fsync', 'synchronous_commit', 'full_page_writes'];
    const { rows } = await client.query<{ name: string; value: string }>(
      'select name, current_setting(name) as value from unnest($1::text[]) as name',
      [['server_version', ...names]],
    );
    const settings = Object.fromEntries(rows.map(({ name, value }) => [name, value]));
    const { server_version: postgres = '', ...durability } = settings;
    return { postgres, durability };
  } finally {
    await client.end();
  }
};

export const describeMachine = async (stack: Stack): Promise<Machine> => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.versions.node,
  ...(await askPostgres(stack)),
  fdatasync: measureSync(stack.state),
  loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  commit: commitOf(),
});

export const sayMachine = (m: Machine): string =>
  [
    `${m.cores} cores of ${m.cpu}, ${m.memoryGiB} GiB, Linux ${m.kernel}, Node ${m.node}, PostgreSQL ${m.postgres}`,
    `fdatasync of 8 KiB: median ${m.fdatasync.median} µs, p99 ${m.fdatasync.p99} µs; ${Object.entries(m.durability)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}`,
    `load average before: ${m.loadBefore}; commit ${m.commit}`,
  ].join('\n');
