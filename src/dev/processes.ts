// Processes in the background: each with a log, a pid file and a stamp of all that it was started from. A pid counts
// only if the process under it has our arguments: pids are used again.
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readIfThere, writeFile } from './files.ts';
import type { Part } from './stack.ts';

/** An operating system user to run as, instead of the one that calls. */
export interface Account {
  uid: number;
  gid: number;
}

/** What it takes to find one of our processes. */
export interface Known {
  name: Part;
  /** Where log, pid file and stamp are. */
  state: string;
  /** The last one is a path of this stack: by it the process is known. */
  args: readonly string[];
  /** Asks it to end. */
  signal: NodeJS.Signals;
}

/** What it takes to start one. */
export interface Program extends Known {
  command: string;
  /** Of everything it reads at its start. */
  stamp: string;
  account?: Account | undefined;
}

const fileOf = ({ state, name }: Known, extension: string): string => join(state, `${name}.${extension}`);
/** PostgreSQL logs to standard error. Of a service that is its last words, kept apart so that its log stays JSON lines. */
const errorsOf = (known: Known): string => fileOf(known, known.name === 'postgres' ? 'log' : 'err');

export const commandLineOf = (pid: number): string => {
  try {
    if (existsSync('/proc/self/cmdline')) return readFileSync(`/proc/${pid}/cmdline`, 'utf8').slice(0, -1).replaceAll('\0', ' ');
    return execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return '';
  }
};

/** A process that has ended but that nobody has waited for has no arguments, and so does not run. */
const isOurs = (pid: number, { args }: Known): boolean => commandLineOf(pid).endsWith(` ${args.join(' ')}`);

export const pidOf = (known: Known): number | undefined => {
  const pid = Number(readIfThere(fileOf(known, 'pid')) ?? 0);
  return pid > 0 && isOurs(pid, known) ? pid : undefined;
};

/** Also one whose pid file somebody has removed; where there is no /proc, those are not found. */
const findPid = (known: Known): number | undefined => {
  const all = existsSync('/proc') ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : [];
  return pidOf(known) ?? all.map(Number).find((pid) => isOurs(pid, known));
};

/** Runs, and from what it would be started from now. */
export const isCurrent = (program: Program): boolean =>
  pidOf(program) !== undefined && readIfThere(fileOf(program, 'stamp')) === program.stamp;

/** To be said once it does its work: one that was interrupted half way is started again. */
export const markCurrent = (program: Program): void => writeFile(fileOf(program, 'stamp'), program.stamp);

export const launch = (program: Program): void => {
  const { command, args, account, state } = program;
  if (program.name !== 'postgres') rmSync(errorsOf(program), { force: true });
  const [out, err] = [openSync(fileOf(program, 'log'), 'a', 0o600), openSync(errorsOf(program), 'a', 0o600)];
  const child = spawn(command, args, {
    cwd: state,
    detached: true,
    stdio: ['ignore', out, err],
    env: { PATH: process.env['PATH'] },
    ...account,
  });
  // A command that is not there has no pid; the event says no more.
  child.on('error', () => undefined);
  child.unref();
  closeSync(out);
  closeSync(err);
  if (child.pid === undefined) throw new Error(`${program.name} could not be started: ${command} cannot be run`);
  rmSync(fileOf(program, 'stamp'), { force: true });
  writeFile(fileOf(program, 'pid'), `${child.pid}\n`);
};

/** Asks until the answer is yes; fails when the process ends, or after the time. */
export const waitFor = async (program: Program, seconds: number, ready: () => Promise<boolean>): Promise<void> => {
  for (const end = Date.now() + seconds * 1_000; ; await sleep(50)) {
    if (pidOf(program) === undefined) {
      const said = (readIfThere(errorsOf(program)) ?? '').trim().split('\n').at(-1);
      throw new Error(`${program.name} did not start: ${said || `see ${fileOf(program, 'log')}`}`);
    }
    if (await ready()) return;
    if (Date.now() > end) throw new Error(`${program.name} is not healthy after ${seconds} s; see ${fileOf(program, 'log')}`);
  }
};

const GRACE_MS = 20_000;
const ENDING_MS = 2_000;

/** A process that is killed loses its arguments some milliseconds before its last thread lets go of its ports. */
const isEnding = (pid: number): boolean => {
  try {
    return !/^State:\t[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')) || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
};

/** Answers whether it ran. */
export const stop = async (known: Known, signal = known.signal): Promise<boolean> => {
  const pid = findPid(known);
  if (pid !== undefined) process.kill(pid, signal);
  for (const end = Date.now() + GRACE_MS; pid !== undefined && isOurs(pid, known); await sleep(20))
    if (Date.now() > end) process.kill(pid, 'SIGKILL');
  for (const end = Date.now() + ENDING_MS; pid !== undefined && isEnding(pid) && Date.now() < end;) await sleep(5);
  rmSync(fileOf(known, 'pid'), { force: true });
  return pid !== undefined;
};
