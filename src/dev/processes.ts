// Processes in the background: each with a log, a pid file and a stamp of all that it was started from. A pid counts
// only if the process under it has our arguments: pids are used again.
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readIfThere, writeFile } from './files.ts';

/** An operating system user to run as, instead of the one that calls. */
export interface Account {
  uid: number;
  gid: number;
}

export interface Program {
  name: string;
  /** Where log, pid file and stamp are. */
  state: string;
  command: string;
  /** The last one is a path of this stack: by it the process is known. */
  args: readonly string[];
  /** Of everything the process has read at its start. */
  stamp: string;
  account?: Account | undefined;
  /** Its log is what it writes to standard error. */
  logsErrors?: boolean;
}

type Ref = Pick<Program, 'name' | 'state' | 'args' | 'logsErrors'>;
const fileOf = ({ state, name }: Ref, extension: string): string => join(state, `${name}.${extension}`);

export const commandLineOf = (pid: number): string[] => {
  try {
    if (existsSync('/proc/self/cmdline')) return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    return execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' })
      .trim()
      .split('\n');
  } catch {
    return [];
  }
};

/** A process that has ended but that nobody has waited for has no arguments, and so does not run. */
const isOurs = (pid: number, args: readonly string[]): boolean => commandLineOf(pid).join(' ').endsWith(args.join(' '));

export const pidOf = (program: Ref): number | undefined => {
  const pid = Number(readIfThere(fileOf(program, 'pid')) ?? 0);
  return pid > 0 && isOurs(pid, program.args) ? pid : undefined;
};

/** Also one whose pid file somebody has removed; where there is no /proc, those are not found. */
const findPid = (program: Ref): number | undefined =>
  pidOf(program) ??
  (existsSync('/proc') ? readdirSync('/proc') : [])
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => isOurs(pid, program.args));

/** Runs, and from what it would be started from now. */
export const isCurrent = (program: Program): boolean =>
  pidOf(program) !== undefined && readIfThere(fileOf(program, 'stamp')) === program.stamp;

/** What a process that ended has left on standard error, as one line. */
export const lastWords = (program: Ref): string => {
  const lines = (readIfThere(fileOf(program, program.logsErrors ? 'log' : 'err')) ?? '').trim().split('\n');
  return lines.at(-1) || `it said nothing; see ${fileOf(program, 'log')}`;
};

/** Standard output goes to the end of `<name>.log`; a service's standard error to `<name>.err`, so that its log stays JSON lines. */
export const launch = (program: Program): number => {
  const { command, args, account } = program;
  const out = openSync(fileOf(program, 'log'), 'a', 0o600);
  const err = program.logsErrors ? openSync(fileOf(program, 'log'), 'a') : openSync(fileOf(program, 'err'), 'w', 0o600);
  try {
    const child = spawn(command, args, {
      cwd: program.state,
      detached: true,
      stdio: ['ignore', out, err],
      env: { PATH: process.env['PATH'] },
      ...account,
    });
    // A command that is not there is reported through the event; the pid then is missing.
    child.on('error', () => undefined);
    child.unref();
    if (child.pid === undefined) throw new Error(`${program.name} could not be started: ${command} cannot be run`);
    rmSync(fileOf(program, 'stamp'), { force: true });
    writeFile(fileOf(program, 'pid'), `${child.pid}\n`);
    return child.pid;
  } finally {
    closeSync(out);
    closeSync(err);
  }
};

/** To be said once the process does its work: one that was stopped half way is started again. */
export const markCurrent = (program: Program): void => writeFile(fileOf(program, 'stamp'), program.stamp);

/** Asks until the answer is yes; fails when the process ends, or after the time. */
export const waitFor = async (program: Program, seconds: number, ready: () => Promise<boolean>): Promise<void> => {
  for (const end = Date.now() + seconds * 1_000; ; await sleep(30)) {
    if (pidOf(program) === undefined) throw new Error(`${program.name} did not start: ${lastWords(program)}`);
    if (await ready()) return;
    if (Date.now() > end)
      throw new Error(`${program.name} is not ready after ${seconds} s; see ${fileOf(program, 'log')}, then run: make down up`);
  }
};

/** Answers whether it ran. */
export const stop = async (program: Ref, signal: NodeJS.Signals, graceSeconds = 15): Promise<boolean> => {
  const pid = findPid(program);
  if (pid !== undefined) {
    process.kill(pid, signal);
    const end = Date.now() + graceSeconds * 1_000;
    while (isOurs(pid, program.args)) {
      if (Date.now() > end) process.kill(pid, 'SIGKILL');
      await sleep(20);
    }
  }
  rmSync(fileOf(program, 'pid'), { force: true });
  return pid !== undefined;
};
