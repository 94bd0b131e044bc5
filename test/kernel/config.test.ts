import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { baseConfig, databaseSchema, durationSchema, fileSchema, peerSchema, readConfig, readKeyFile } from '../../src/kernel/config.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'strongroom config '));
});
afterAll(() => rmSync(folder, { recursive: true }));

const schema = z.strictObject({ ...baseConfig, database: databaseSchema, keys: peerSchema, tokenKeyFile: fileSchema });
const files = { certFile: 'c.crt', keyFile: '../k.key', caFile: '/etc/ca.crt' };
const good = () => ({
  service: 'store',
  trustDomain: 'strongroom.internal',
  listen: { host: '127.0.0.1', port: 0 },
  tls: files,
  allow: {
    'strongroom.secrets.v1.SecretService': ['*'],
    'strongroom.keys.v1.KeyService/GetRootKey': ['spiffe://strongroom.internal/operator'],
  },
  database: { host: 'localhost', port: 5432, name: 'store', user: 'store', tls: files },
  keys: { address: 'localhost:8444', spiffeId: 'spiffe://strongroom.internal/service/keys' },
  tokenKeyFile: 'token.key',
});
const read = (content: unknown) => {
  const file = join(folder, 'config.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return readConfig(file, schema);
};

describe('a configuration', () => {
  it('is read with its defaults, and its paths are relative to its own folder', () => {
    const config = read(good());
    expect(config).toMatchObject({ drain: 10_000, reflection: [], log: { level: 'info' }, database: { poolSize: 10 } });
    expect(config.tls).toEqual({ certFile: join(folder, 'c.crt'), keyFile: join(folder, '../k.key'), caFile: '/etc/ca.crt' });
    expect(config.database.tls.certFile).toBe(join(folder, 'c.crt'));
    expect(config.tokenKeyFile).toBe(join(folder, 'token.key'));
  });

  it('has paths in lists and folders relative to its own folder too', () => {
    const lists = z.strictObject({
      checkpointFiles: z.array(fileSchema),
      masterKeys: z.strictObject({ dir: fileSchema, keepFor: z.string() }),
    });
    const file = join(folder, 'lists.json');
    writeFileSync(file, JSON.stringify({ checkpointFiles: ['a', '/b'], masterKeys: { dir: 'keys', keepFor: '7d' } }));
    expect(readConfig(file, lists)).toEqual({
      checkpointFiles: [join(folder, 'a'), '/b'],
      masterKeys: { dir: join(folder, 'keys'), keepFor: '7d' },
    });
  });

  const changed = (change: (config: ReturnType<typeof good> & Record<string, unknown>) => void): unknown => {
    const config = good();
    change(config);
    return config;
  };
  const set = (object: object, key: string, value: unknown): void => void Object.assign(object, { [key]: value });

  it.each<[string, string, unknown]>([
    ['an unknown key', 'tokenKeyfile: is not a key', changed((c) => set(c, 'tokenKeyfile', 'x'))],
    [
      'an unknown key deep inside',
      'database.tls.password: is not a key',
      changed((c) => (c.database.tls = { ...files, password: 'x' } as never)),
    ],
    ['a missing key', 'tokenKeyFile: ', changed((c) => delete (c as Partial<typeof c>).tokenKeyFile)],
    ['a missing key deep inside', 'tls.caFile: ', changed((c) => (c.tls = { certFile: 'a', keyFile: 'b' } as never))],
    ['a port in quotes', 'listen.port: ', changed((c) => (c.listen.port = '8443' as never))],
    ['a port too high', 'listen.port: ', changed((c) => (c.listen.port = 65_536))],
    ['a number for a path', 'tokenKeyFile: ', changed((c) => (c.tokenKeyFile = 1 as never))],
    ['a peer without a port', 'keys.address: is not host:port', changed((c) => (c.keys.address = 'localhost'))],
    ['a peer that is no SPIFFE ID', 'keys.spiffeId: is not a SPIFFE ID', changed((c) => (c.keys.spiffeId = 'keys'))],
    ['a duration without a unit', 'drain: is not a duration', changed((c) => set(c, 'drain', '10'))],
    ['a log level that is none', 'log.level: ', changed((c) => set(c, 'log', { level: 'chatty' }))],
    [
      'an empty list of callers',
      'allow.strongroom.secrets.v1.SecretService: ',
      changed((c) => (c.allow['strongroom.secrets.v1.SecretService'] = [])),
    ],
    [
      'a caller that is no SPIFFE ID',
      'allow.strongroom.secrets.v1.SecretService',
      changed((c) => (c.allow['strongroom.secrets.v1.SecretService'] = ['app'])),
    ],
    [
      'a star beside other callers',
      'allow.strongroom.secrets.v1.SecretService',
      changed((c) => (c.allow['strongroom.secrets.v1.SecretService'] = ['*', 'spiffe://t/a'])),
    ],
    ['a list for the whole', '(root): ', []],
  ])('with %s stops the start and names it: %s', (_, named, content) => {
    expect(() => read(content)).toThrow(named);
  });

  it('names every bad key at once', () => {
    expect(() => read({ ...good(), service: 1, trustDomain: '' })).toThrow(/service: .*; trustDomain: /);
  });

  it('never shows a value, which might be a secret in the wrong place', () => {
    expect(() => read({ ...good(), service: { password: 'hunter2' } })).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('hunter2') as string }) as Error,
    );
  });

  it('that is absent or no JSON is named', () => {
    expect(() => readConfig(join(folder, 'absent.json'), schema)).toThrow(/absent\.json.*ENOENT/);
    expect(() => read('{ "service": ')).toThrow(/cannot read the configuration .*config\.json/);
  });
});

describe('a duration', () => {
  it.each([
    ['500ms', 500],
    ['90s', 90_000],
    ['15m', 900_000],
    ['12h', 43_200_000],
    ['7d', 604_800_000],
    ['0s', 0],
  ])('%s is %i ms', (text, ms) => {
    expect(durationSchema.parse(text)).toBe(ms);
  });
  it.each(['', '10', 's', '-1s', '1.5h', '1 s', '1S', '1w', '1234567s'])('is none as %j', (text) => {
    expect(durationSchema.safeParse(text).success).toBe(false);
  });
});

describe('a key file', () => {
  const write = (name: string, bytes: Buffer, mode: number): string => {
    const file = join(folder, name);
    writeFileSync(file, bytes);
    chmodSync(file, mode);
    return file;
  };

  it.each([0o600, 0o400])('of 32 bytes that only its owner may read is read: mode %o', (mode) => {
    expect(readKeyFile(write(`key-${mode}`, Buffer.alloc(32, 9), mode))).toEqual(Buffer.alloc(32, 9));
  });

  it.each([0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o666])('that others may touch is refused: mode %o', (mode) => {
    expect(() => readKeyFile(write(`key-${mode}`, Buffer.alloc(32), mode))).toThrow(/chmod 600/);
  });

  it.each([0, 31, 33, 64])('of %i bytes is refused, with what was found and what is needed', (length) => {
    expect(() => readKeyFile(write(`long-${length}`, Buffer.alloc(length), 0o600))).toThrow(new RegExp(`has ${length} bytes; exactly 32`));
  });

  it('behind a symbolic link is refused', () => {
    symlinkSync(write('target', Buffer.alloc(32), 0o600), join(folder, 'link'));
    expect(() => readKeyFile(join(folder, 'link'))).toThrow(/cannot open the key file .*link/);
  });

  it('that is absent, a folder or a pipe is refused, and nothing hangs', () => {
    mkdirSync(join(folder, 'dir'));
    execFileSync('mkfifo', ['-m', '600', join(folder, 'pipe')]);
    expect(() => readKeyFile(join(folder, 'absent'))).toThrow(/ENOENT/);
    expect(() => readKeyFile(join(folder, 'dir'))).toThrow(/not a regular file/);
    expect(() => readKeyFile(join(folder, 'pipe'))).toThrow(/not a regular file/);
  });
});
