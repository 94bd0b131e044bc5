// Where the CPU time of one operation goes: the services run under V8's sampling profiler, and what it saw during the load
// is told by what it was for. The profiles themselves stay, to be opened in a browser's developer tools.
import { mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { isServing } from '../src/dev/clients.ts';
import { configFileOf } from '../src/dev/configs.ts';
import { launch, waitFor, type Program } from '../src/dev/processes.ts';
import { ROOT, type Service, type Stack } from '../src/dev/stack.ts';
import { stopPart } from '../src/dev/up.ts';
import { runCell, type Bench } from './measure.ts';
import type { Name } from './operations.ts';
import { shareOut, type Profile } from './samples.ts';
import { pidsOf } from './world.ts';

const PROFILED = ['audit', 'keys', 'store'] as const satisfies readonly Service[];
const IN_FLIGHT = 32;

const startProfiled = async (stack: Stack, service: Service): Promise<void> => {
  await stopPart(stack, service);
  const options = ['--cpu-prof', `--cpu-prof-dir=${folderOf(stack, service)}`];
  const program: Program = {
    name: service,
    state: stack.state,
    command: process.execPath,
    args: [...options, join(ROOT, 'src/main.ts'), service, configFileOf(stack, service)],
    signal: 'SIGTERM',
    stamp: '',
  };
  launch(program);
  await waitFor(program, 30, () => isServing(stack, service));
};

const folderOf = (stack: Stack, service: Service): string => join(stack.state, `profile-${service}`);

export const profile = async (bench: Bench, operation: Name, seconds: number, results: string): Promise<string> => {
  const { stack } = bench.world;
  for (const service of PROFILED) await startProfiled(stack, service);
  const running = { ...bench, pids: { ...bench.pids, ...(await pidsOf(stack)) } };
  // The first run is for the compiler.
  await runCell(running, operation, IN_FLIGHT, seconds * 1_000);
  const cell = await runCell(running, operation, IN_FLIGHT, seconds * 1_000);
  mkdirSync(results, { recursive: true });
  const parts: string[] = [];
  for (const service of PROFILED) {
    await stopPart(stack, service);
    const [file] = readdirSync(folderOf(stack, service));
    if (file === undefined) throw new Error(`${service} has left no profile`);
    const kept = join(results, `${operation}-${service}.cpuprofile`);
    renameSync(join(folderOf(stack, service), file), kept);
    const cpu = (cell.cpu[service] ?? 0) / cell.items;
    const seen = JSON.parse(readFileSync(kept, 'utf8')) as Profile;
    parts.push(`${service}, ${cpu.toFixed(0)} µs of CPU for one item\n${shareOut(seen, cell.window, cpu)}`);
  }
  return [`${operation}, ${IN_FLIGHT} in flight, ${Math.round(cell.items / cell.seconds)}/s`, ...parts].join('\n\n');
};
