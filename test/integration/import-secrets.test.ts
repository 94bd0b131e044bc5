// The command that moves secrets in, run as its users run it: what it writes, what it leaves, what it tells, and what it never shows.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { addressOf, MAIN, ROOT, spiffeIdOf, tlsFilesOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { clientsOf } from '../support/clients.ts';
import { blocksOf, runBlocks } from '../support/documents.ts';
import { bind, fresh, newId, newTenant, text, unbind } from '../support/tenants.ts';
import { reaches } from '../worker/purges.ts';

const stack = inject('stack');
const [operator, app] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app')];
const folder = mkdtempSync(join(tmpdir(), 'strongroom-import-'));
const config = join(folder, 'client.json');
let instance: string;
beforeAll(async () => {
  ({ instance } = await newTenant(operator));
  await bind(operator, instance, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  const store = { address: addressOf(stack, 'store'), spiffeId: spiffeIdOf('store') };
  writeFileSync(config, JSON.stringify({ tls: tlsFilesOf(stack, 'app'), store }));
});
afterAll(() => {
  [operator, app].forEach((clients) => clients[Symbol.dispose]());
  rmSync(folder, { recursive: true });
});

const newGroup = async () => (await operator.groups.createSecretGroup({ parent: instance, secretGroupId: newId('g'), ...fresh() })).name;
const valueOf = async (name: string) => (await app.access.accessSecretVersion({ name: `${name}/versions/latest` })).payload?.value?.value;

interface Ran {
  status: number | null;
  shown: string;
}
const run = (group: string, input: string, { args = ['--format', 'dotenv'] } = {}): Promise<Ran> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, 'import', config, group, ...args], { cwd: ROOT });
    let shown = '';
    const collect = (chunk: Buffer): void => {
      shown += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('close', (status) => resolve({ status, shown }));
    child.stdin.end(input);
  });

describe('an import', () => {
  it('makes one secret of each, from standard input, and shows no value', async () => {
    const group = await newGroup();
    const { status, shown } = await run(group, 'DB_PASSWORD=hush-1\nEMPTY=\nPEM="hush-2\nhush-3"\n');
    expect([status, shown]).toEqual([0, 'created 3, there already and the same 0, different 0, not compared 0, failed 0\n']);
    expect(await valueOf(`${group}/secrets/db-password`)).toBe('hush-1');
    expect(await valueOf(`${group}/secrets/empty`)).toBe('');
    expect(await valueOf(`${group}/secrets/pem`)).toBe('hush-2\nhush-3');
    const { annotations } = await app.secrets.getSecret({ name: `${group}/secrets/db-password` });
    expect(Object.fromEntries(annotations)).toEqual({ 'imported-from': 'dotenv', 'imported-name': 'DB_PASSWORD' });
  });

  it('that is only a look writes nothing', async () => {
    const group = await newGroup();
    const { status, shown } = await run(group, 'A=b\n', { args: ['--format', 'dotenv', '--dry-run'] });
    expect([status, shown]).toEqual([0, expect.stringMatching(/^would create 1, /)]);
    expect((await app.secrets.listSecrets({ parent: group })).secrets).toEqual([]);
  });

  it('leaves what is there, and tells what differs, cannot be read or was deleted', async () => {
    const group = await newGroup();
    await run(group, 'SAME=1\nOTHER=hush-1\nGONE=1\nPURGED=1\n');
    await operator.secrets.deleteSecret({ name: `${group}/secrets/gone`, ...fresh() });
    const { uid, name } = await operator.secrets.deleteSecret({ name: `${group}/secrets/purged`, ...fresh() });
    await bind(operator, group, spiffeIdOf('operator'), Role.PURGER);
    await operator.purges.expeditePurge({ resource: name, ...fresh() });
    await reaches(operator, uid, Purge_State.DONE);
    await operator.secrets.createSecret({ parent: group, secretId: 'empty', ...fresh() });
    const { status, shown } = await run(group, 'SAME=1\nOTHER=hush-2\nGONE=2\nPURGED=1\nEMPTY=1\nNEW=1\n');
    expect(status).toBe(1);
    expect(shown).toContain('! other ("OTHER") is there already, with another value; nothing was changed');
    expect(shown).toContain('! gone ("GONE") is deleted there; undelete it');
    expect(shown).toContain('! purged ("PURGED") was purged, and its name is never used again');
    expect(shown).toMatch(/! empty \("EMPTY"\) .*does not exist/);
    expect(shown).toContain('created 1, there already and the same 1, different 1, not compared 0, failed 3');
    expect(shown).not.toContain('hush');
    expect(await valueOf(`${group}/secrets/other`)).toBe('hush-1');

    await unbind(operator, instance, spiffeIdOf('app'), Role.SECRETS_READER);
    const blind = await run(group, 'SAME=1\nNEW=1\n');
    await bind(operator, instance, spiffeIdOf('app'), Role.SECRETS_READER);
    expect([blind.status, blind.shown]).toEqual([0, expect.stringContaining('not compared 2, failed 0')]);
    expect(blind.shown).toContain('you may not read it');
  });

  it('that was killed goes on where it was when it is run again', async () => {
    const group = await newGroup();
    const input = Array.from({ length: 120 }, (_, i) => `TOKEN_${i}=value-${i}`).join('\n');
    const running = run(group, input);
    const count = async () => (await app.secrets.listSecrets({ parent: group, pageSize: 1_000 })).secrets.length;
    const killed = spawn(process.execPath, [MAIN, 'import', config, group, '--format', 'dotenv'], { cwd: ROOT });
    killed.stdin.on('error', () => undefined).end(input);
    // Two at once, one of which dies: they make every secret once.
    while ((await count()) < 10);
    killed.kill('SIGKILL');
    expect((await running).status).toBe(0);
    expect((await run(group, input)).shown).toBe('created 0, there already and the same 120, different 0, not compared 0, failed 0\n');
    expect(await valueOf(`${group}/secrets/token-119`)).toBe('value-119');
  });

  it.each([
    ['a line that is no NAME=value', 'A_B=1\nA.B=2\n1X=3\n', /line 3 is not NAME=value/],
    ['two names that would be one', 'A_B=1\nA.B=2\nC=3\n', /✗ "A_B" and "A.B" would both be a-b\n.*nothing was written: 1 of 3/],
    ['a name that is too long', `${'A'.repeat(64)}=1\nB=2\n`, /makes no ID.*\n.*nothing was written/],
    ['a value over 1 MiB', `A=1\nB=${'x'.repeat(1024 * 1024 + 1)}\n`, /✗ "B" has more than 1048576 bytes/],
    ['a quote without an end', 'A="hush', /the quote that begins in line 1 has no end/],
  ])('of %s is refused before anything is written', async (_, input, message) => {
    const group = await newGroup();
    const { status, shown } = await run(group, input);
    expect([status, shown]).toEqual([1, expect.stringMatching(message)]);
    expect((await app.secrets.listSecrets({ parent: group })).secrets).toEqual([]);
  });

  it('takes 1 MiB, and refuses bytes that are no text', async () => {
    const group = await newGroup();
    expect((await run(group, `A=${'x'.repeat(1024 * 1024)}\n`)).status).toBe(0);
    const file = join(folder, 'binary');
    writeFileSync(file, Buffer.from([0x41, 0x3d, 0xff, 0xfe]));
    expect(await run(group, '', { args: ['--format', 'dotenv', file] })).toEqual({
      status: 1,
      shown: 'strongroom: what is to be imported is not UTF-8\n',
    });
  });

  it('into a group that one has no right to, or that is none, says why', async () => {
    const hidden = (await newTenant(operator)).group;
    expect(await run(hidden, 'A=1\n')).toMatchObject({ status: 1, shown: expect.stringContaining('or it might not exist') as string });
    expect((await run('groups/x', 'A=1\n')).shown).toContain('must be instances/{instance}/groups/{group}');
    expect((await run(hidden, 'A=1\n', { args: ['--format', 'yaml'] })).shown).toContain('usage: node src/main.ts import');
  });

  it('that meets a quota stops, and keeps what it has', async () => {
    const group = await newGroup();
    await app.secrets.createSecret({ parent: group, secretId: 'first', payload: text('1'), ...fresh() });
    await operator.limits.setInstanceLimits({ name: instance, limits: { name: '', secretsPerGroupCount: 1n }, ...fresh() });
    const { status, shown } = await run(group, 'SECOND=2\n');
    await operator.limits.setInstanceLimits({ name: instance, limits: { name: '' }, ...fresh() });
    expect([status, shown]).toEqual([1, expect.stringMatching(/would be over instance.secretsPerGroup.*run it again to go on/)]);
  });
});

describe('make import-demo', () => {
  it('imports what it shows, twice, and ends well', () => {
    const code = `import { importDemo } from './src/dev/import-demo.ts';
      await importDemo(${JSON.stringify(stack)}, (line) => process.stdout.write(line + '\\n'));`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { cwd: ROOT, encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    const told = [...stdout.matchAll(/^(would create|created) (\d+), there already and the same (\d+)/gm)].map((found) =>
      found.slice(1, 4),
    );
    expect(told).toEqual([
      ['would create', '200', '0'],
      ['created', '200', '0'],
      ['created', '0', '200'],
      ['created', '2', '0'],
    ]);
  });
});

describe('docs/import-secrets.md', () => {
  it('has commands that work as they stand', () => {
    const { status, stdout, stderr, shown } = runBlocks(stack, blocksOf('docs/import-secrets.md'));
    expect(status, stderr).toBe(0);
    expect(shown[1]).toContain('would create 2, ');
    expect(shown[1]).toContain('created 2, ');
    expect(shown[1]).toContain('created 1, there already and the same 1, different 1');
    expect(stdout).toMatch(/"keyValue": \{\s*"entries": \{\s*"password": "correct horse",\s*"username": "orders"/);
  });
});
