// litewitness, a witness that nobody here wrote, in Go: installed once, with a key in an ssh-agent of its own, on a loopback port.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseCosigner } from '../../src/audit/cosignature.ts';
import { EMPTY_ROOT } from '../../src/audit/merkle.ts';
import type { Verifier } from '../../src/audit/note.ts';
import { ROOT } from '../../src/dev/stack.ts';
import { freePort } from './ports.ts';

const VERSION = 'v0.9.0';
const TOOLS = join(ROOT, '.dev/tools', `litewitness-${VERSION}`);
const PROGRAM = join(TOOLS, 'litewitness');

/** Undefined if it is there; else why it is not. */
export const installLitewitness = (): string | undefined => {
  if (existsSync(PROGRAM)) return undefined;
  if (spawnSync('ssh-agent', ['-h']).error || spawnSync('go', ['version']).error) return 'there is no Go or no ssh-agent here';
  mkdirSync(TOOLS, { recursive: true });
  const env = { ...process.env, GOBIN: TOOLS, GOFLAGS: '' };
  const { status, stderr } = spawnSync('go', ['install', `filippo.io/torchwood/cmd/litewitness@${VERSION}`], { env, encoding: 'utf8' });
  return status === 0 ? undefined : stderr?.trim().split('\n').at(-1);
};

export interface Litewitness extends AsyncDisposable {
  readonly url: string;
  readonly verifier: Verifier;
  /** Past the program, into what it remembers. */
  remember(size: bigint, root: Buffer): void;
  readonly remembered: () => { size: bigint; root: string };
}

/** What a program says until the words come. */
const saying = (child: ChildProcess, words: RegExp): Promise<RegExpExecArray> =>
  new Promise((resolve, reject) => {
    let said = '';
    const hear = (chunk: Buffer): void => {
      said += chunk.toString('utf8');
      const found = words.exec(said);
      if (found) resolve(found);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.once('exit', () => reject(new Error(said)));
  });

export const openLitewitness = async (log: Verifier): Promise<Litewitness> => {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-witness-'));
  const [socket, key, file] = ['agent', 'key', 'witness.db'].map((name) => join(folder, name)) as [string, string, string];
  const run = (program: string, args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, SSH_AUTH_SOCK: socket } });
    if (status !== 0) throw new Error(`${program}: ${stderr}`);
    return stdout;
  };
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'pipe'] });
  await saying(agent, /SSH_AUTH_SOCK|Agent pid/);
  run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  run('ssh-add', ['-q', key]);
  const fingerprint = /SHA256:\S+/.exec(run('ssh-keygen', ['-lf', key]))?.[0] ?? '';
  const port = await freePort();
  const args = ['-name', 'witness.example/lite', '-db', file, '-ssh-agent', socket, '-listen', `127.0.0.1:${port}`, '-key', fingerprint];
  const child = spawn(PROGRAM, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [, vkey = ''] = await saying(child, /vkey=(\S+)[^]*listening/);
  const db = new DatabaseSync(file);
  db.prepare('insert into log (origin, tree_size, tree_hash) values (?, 0, ?)').run(log.name, EMPTY_ROOT.toString('base64'));
  db.prepare('insert into key (origin, key) values (?, ?)').run(log.name, log.text);
  return {
    url: `http://127.0.0.1:${port}`,
    verifier: parseCosigner(vkey)!,
    remember: (size, root) => void db.prepare('update log set tree_size = ?, tree_hash = ?').run(size, root.toString('base64')),
    remembered: () => {
      const row = db.prepare('select tree_size, tree_hash from log').get();
      return { size: BigInt(Number(row?.['tree_size'])), root: String(row?.['tree_hash']) };
    },
    [Symbol.asyncDispose]: async () => {
      db.close();
      child.kill();
      agent.kill();
      rmSync(folder, { recursive: true });
    },
  };
};
