// A process of the bench's own, asked over Node's channel between parent and child. It ends with whoever started it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

interface Question {
  id: number;
  method: string;
  argument: unknown;
}
interface Answer {
  id: number;
  result?: unknown;
  error?: string;
}

export interface Child extends AsyncDisposable {
  readonly pid: number;
  ask<T>(method: string, argument?: unknown): Promise<T>;
}

const END_MS = 5_000;

export const startChild = (file: string): Child => {
  const child = fork(join(import.meta.dirname, file), { serialization: 'advanced' });
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let next = 0;
  child.on('message', ({ id, result, error }: Answer) => {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) asked?.resolve(result as never);
    else asked?.reject(new Error(error));
  });
  const end = (why: string): void => {
    for (const { reject } of waiting.values()) reject(new Error(`${file} ended: ${why}`));
    waiting.clear();
  };
  child.on('error', (error) => end(error.message));
  child.on('exit', (code, signal) => end(String(signal ?? code)));
  const { pid } = child;
  if (pid === undefined) throw new Error(`${file} could not be started`);
  return {
    pid,
    ask: (method, argument) =>
      new Promise((resolve, reject) => {
        const id = next++;
        waiting.set(id, { resolve, reject });
        child.send({ id, method, argument } satisfies Question);
      }),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      const kill = setTimeout(() => child.kill('SIGKILL'), END_MS);
      child.disconnect();
      await exit;
      clearTimeout(kill);
    },
  };
};

/** In the child: answers its parent. */
export const answer = (handlers: Readonly<Record<string, (argument: never) => Promise<unknown>>>): void => {
  // A terminal interrupts the whole group of processes; the parent decides what that means.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit(0));
  process.on('message', ({ id, method, argument }: Question) => {
    const reply = (message: Answer) => process.send?.(message);
    const handler = handlers[method];
    if (!handler) reply({ id, error: `there is no ${method}` });
    else
      handler(argument as never).then(
        (result) => reply({ id, result }),
        (error: unknown) => reply({ id, error: error instanceof Error ? error.message : 'unknown error' }),
      );
  });
};
