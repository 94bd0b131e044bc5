// The development stack on the command line: up, down, reset, status, logs, demo, verify-log. `make help` says what each does.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { demo } from './demo.ts';
import { readIfThere, writeFile } from './files.ts';
import { importDemo } from './import-demo.ts';
import { DEFAULT_BASE, parsePortBase } from './ports.ts';
import { addressOf, PARTS, ROOT, stackAt, type Say, type Stack } from './stack.ts';
import { down, reset, status, up } from './up.ts';
import { verifyLog } from './verify-log.ts';

const STATE = join(ROOT, '.dev');
const BASE_FILE = join(STATE, 'port-base');
const DONE_FILE = join(STATE, 'main-job-done');

// Whoever reads this may stop reading; what was asked for is done all the same.
process.stdout.on('error', () => undefined);
const say: Say = (line) => void process.stdout.write(`${line}\n`);

/** The base that the environment names, else the one this checkout has used, so that only `up` needs to be told. */
const openStack = (): Stack => {
  const base = process.env['STRONGROOM_PORT_BASE'] || readIfThere(BASE_FILE)?.trim();
  return stackAt(STATE, join(ROOT, 'certs-dev/out'), base ? parsePortBase(base) : DEFAULT_BASE);
};

const tell = (stack: Stack): void => {
  const as = (name: string) => `-cacert certs-dev/out/ca.crt -cert certs-dev/out/${name}.crt -key certs-dev/out/${name}.key`;
  const [store, audit] = [addressOf(stack, 'store'), addressOf(stack, 'audit')];
  say(`
Running, with mutual TLS only:
  store ${store}   keys ${addressOf(stack, 'keys')}   audit ${audit}   PostgreSQL ${addressOf(stack, 'postgres')}
  logs .dev/<service>.log   certificates certs-dev/out/   make status, logs, demo, down, reset

To paste, from this folder:
  grpcurl ${as('operator')} ${store} list
  grpcurl ${as('operator')} ${store} strongroom.secrets.v1.InstanceService/ListInstances
  grpcurl ${as('operator')} ${store} strongroom.secrets.v1.PurgeService/ListPurges
  grpcurl ${as('auditor')} -d '{"page_size": 5}' ${audit} strongroom.audit.v1.AuditService/ListEntries
Without grpcurl:
  node_modules/.bin/buf curl --protocol grpc --cacert certs-dev/out/ca.crt --cert certs-dev/out/operator.crt --key certs-dev/out/operator.key https://${store}/strongroom.secrets.v1.InstanceService/ListInstances`);
};

const doMainJob = async (stack: Stack): Promise<void> => {
  say('\nThe main job:');
  await demo(stack, say);
  writeFile(DONE_FILE, `${new Date().toISOString()}\n`);
};

const COMMANDS: Readonly<Record<string, (stack: Stack) => Promise<void>>> = {
  up: async (stack) => {
    const started = await up(stack, say);
    writeFile(BASE_FILE, `${stack.ports.base}\n`);
    if (!started) say('✓ everything was running already');
    if (!existsSync(DONE_FILE)) await doMainJob(stack);
    tell(stack);
  },
  down: (stack) => down(stack, say),
  reset: async (stack) => {
    await reset(stack, say);
    say('✓ data and keys wiped');
  },
  demo: doMainJob,
  'import-demo': (stack) => importDemo(stack, say),
  status: async (stack) => {
    for (const { part, pid, state } of await status(stack))
      say(`${part.padEnd(9)} ${state.padEnd(12)} ${addressOf(stack, part).padEnd(15)} ${pid === undefined ? '' : `pid ${pid}`}`.trimEnd());
  },
  'verify-log': (stack) => verifyLog(stack, join(STATE, 'tools'), say),
  logs: async () => {
    const files = PARTS.map((name) => join(STATE, `${name}.log`)).filter((file) => existsSync(file));
    if (files.length === 0) throw new Error('there are no logs yet; run: make up');
    spawnSync('tail', ['-n', '40', ...(process.env['FOLLOW'] ? ['-F'] : []), ...files], { stdio: 'inherit' });
  },
};

const [name = ''] = process.argv.slice(2);
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
try {
  if (!command) throw new Error(`usage: node src/dev/main.ts ${Object.keys(COMMANDS).join('|')}`);
  await command(openStack());
} catch (error) {
  process.stderr.write(`✗ ${error instanceof Error ? error.message : 'unknown error'}\n`);
  process.exit(1);
}
