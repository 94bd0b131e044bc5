// Processes that write an audit log, and what they have said.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Job, Line } from './audit-writer-child.ts';

export interface WriterProcess extends AsyncDisposable {
  /** Gives it its job. */
  begin(job: Job): void;
  /** What it has said so far. */
  lines(): readonly Line[];
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void;
  readonly ended: Promise<unknown>;
}

/** They load the same program again and again. */
const cache = mkdtempSync(join(tmpdir(), 'strongroom-code-'));
process.once('exit', () => rmSync(cache, { recursive: true, force: true }));

/** Started, with all that it needs loaded; it waits for its job. */
export const startWriter = (): WriterProcess => {
  const file = join(import.meta.dirname, 'audit-writer-child.ts');
  const child = spawn(process.execPath, [file], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, NODE_COMPILE_CACHE: cache } });
  child.stdin.on('error', () => undefined);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  // Its output is complete then.
  const ended = once(child, 'close');
  return {
    begin: (job) => void child.stdin.write(`${JSON.stringify(job)}\n`),
    // A line of which only a part was written was not said.
    lines: () =>
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Line),
    signal: (signal) => void child.kill(signal),
    ended,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
};
