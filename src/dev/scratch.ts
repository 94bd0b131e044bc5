// Stacks that nobody keeps, for tests, benches and drills: in a folder and on ports of their own, all gone at the end. What a
// process that was killed has left behind goes when the next one starts.
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isFree } from './ports.ts';
import { HOST, stackAt, type Stack } from './stack.ts';
import { reset, up } from './up.ts';

export interface Scratch extends AsyncDisposable {
  readonly folder: string;
  /** Running. */
  readonly live: Stack;
  /** Another one below the folder, with the same certificates and ports, for the time in which the live one is stopped. */
  readonly beside: (name: string) => Stack;
}

const CERTIFICATES = 'certs';
/** The purpose, and the process that it is for. */
const FOLDER = /^strongroom-(?:test|drill)-(\d+)-/;

const freeBase = async (): Promise<number> => {
  for (;;) {
    const base = 10_000 + Math.floor(Math.random() * 2_000) * 10;
    const { base: _, ...ports } = stackAt('', '', base).ports;
    const free = await Promise.all(Object.values(ports).map((port) => isFree(port, HOST)));
    if (!free.includes(false)) return base;
  }
};

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** Stops what runs below the folder, and removes it. */
const wipe = async (folder: string): Promise<void> => {
  const names = readdirSync(folder).filter((name) => name !== CERTIFICATES && statSync(join(folder, name)).isDirectory());
  for (const name of names) await reset(stackAt(join(folder, name), join(folder, CERTIFICATES), 0));
  rmSync(folder, { recursive: true, force: true });
};

const wipeAbandoned = async (): Promise<void> => {
  for (const name of readdirSync(tmpdir())) {
    const folder = join(tmpdir(), name);
    const pid = Number(FOLDER.exec(name)?.[1]);
    if (pid && !isRunning(pid) && statSync(folder, { throwIfNoEntry: false })?.uid === process.getuid?.()) await wipe(folder);
  }
};

export const openScratch = async (purpose: 'test' | 'drill'): Promise<Scratch> => {
  await wipeAbandoned();
  const folder = mkdtempSync(join(tmpdir(), `strongroom-${purpose}-${process.pid}-`));
  // PostgreSQL may run as another user, who has to get to its folder.
  chmodSync(folder, 0o755);
  const base = await freeBase();
  const beside = (name: string): Stack => stackAt(join(folder, name), join(folder, CERTIFICATES), base);
  const live = beside('live');
  try {
    await up(live);
  } catch (error) {
    await wipe(folder);
    throw error;
  }
  return { folder, live, beside, [Symbol.asyncDispose]: () => wipe(folder) };
};
