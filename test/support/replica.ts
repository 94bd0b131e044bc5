// One more process of a service, beside those of a stack: the same configuration but for what a test changes, on a port of
// its own, gone when the test is done with it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { configFileOf } from '../../src/dev/configs.ts';
import { HOST, ROOT, type Service, type Stack } from '../../src/dev/stack.ts';
import { newId } from './tenants.ts';

export interface Replica extends AsyncDisposable {
  /** The stack, with this process in place of the service's first one. */
  readonly stack: Stack;
  readonly address: string;
  log(): string;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** One that does not end it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
}

type Json = Record<string, unknown>;

export const startReplica = async (stack: Stack, service: Service, change: Json = {}): Promise<Replica> => {
  const file = configFileOf(stack, service);
  const folder = dirname(file);
  const name = newId(service);
  const [config, log] = [join(folder, `${name}.json`), join(stack.state, `${name}.log`)];
  const original = JSON.parse(readFileSync(file, 'utf8')) as Json;
  writeFileSync(config, JSON.stringify({ ...original, listen: { host: HOST, port: 0 }, ...change }));
  const out = openSync(log, 'a', 0o600);
  const child = spawn(process.execPath, [join(ROOT, 'src/main.ts'), service, config], { stdio: ['ignore', out, out] });
  closeSync(out);
  const ended = once(child, 'exit');
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await ended;
  };
  const read = () => readFileSync(log, 'utf8');

  for (const end = Date.now() + 30_000; ; await sleep(50)) {
    const port = Number(/"address":"127\.0\.0\.1:(\d+)","msg":"serving"/.exec(read())?.[1]);
    if (port > 0) {
      return {
        stack: { ...stack, ports: { ...stack.ports, [service]: port } },
        address: `${HOST}:${port}`,
        log: read,
        kill,
        signal: (signal) => void child.kill(signal),
        [Symbol.asyncDispose]: async () => {
          await kill('SIGTERM');
          rmSync(config);
        },
      };
    }
    if (child.exitCode === null && Date.now() < end) continue;
    await kill('SIGKILL');
    throw new Error(`the replica of ${service} did not start: ${read()}`);
  }
};
