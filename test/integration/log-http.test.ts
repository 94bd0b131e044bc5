// The log as files over HTTP, as a mirror, a cache and a curious neighbour see it.
import { request as plainRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import { request as secureRequest } from 'node:https';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { TilesConfig } from '../../src/audit/config.ts';
import { serveTiles, type TilesOptions } from '../../src/audit/http.ts';
import { leafHash } from '../../src/audit/merkle.ts';
import { openNote } from '../../src/audit/note.ts';
import { splitBundle } from '../../src/audit/tlog-tiles.ts';
import { HOST, spiffeIdOf, tlsFilesOf, TRUST_DOMAIN } from '../../src/dev/stack.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';
import { openTls } from '../../src/kernel/tls.ts';
import { materialOf } from '../support/clients.ts';
import { newLog, signer, type ScratchLog } from './scratch-log.ts';
import { silentLog } from './scratch.ts';

const stack = inject('stack');
const auditor = parseSpiffeId(spiffeIdOf('auditor'))!;
const tls = openTls(tlsFilesOf(stack, 'audit'), silentLog);
const opened: AsyncDisposable[] = [tls];
const recorded: string[] = [];
let refuseEntries = false;
let log: ScratchLog;
let [secure, plain] = [0, 0];

const open = async (config: Omit<TilesConfig, 'listen'>): Promise<number> => {
  const record: TilesOptions['record'] = async (reader, address, resource, { outcome = 'SUCCESS' }) => {
    if (refuseEntries) throw new Error('no audit log');
    recorded.push(`${reader} ${resource} ${outcome} ${address}`);
  };
  const server = await serveTiles({
    config: { ...config, listen: { host: HOST, port: 0 } },
    trustDomain: TRUST_DOMAIN,
    tls,
    log: silentLog,
    audit: log.audit,
    record,
  });
  opened.push(server);
  return server.port;
};

beforeAll(async () => {
  log = await newLog(600);
  opened.push(log);
  secure = await open({ plain: false, readers: [auditor] });
  plain = await open({ plain: true, readers: [] });
});
afterAll(async () => {
  for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
});

interface Got {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}
const ask = (path: string, as?: 'auditor' | 'app2', options: RequestOptions & { body?: string } = {}): Promise<Got> =>
  new Promise((resolve, reject) => {
    const { body, ...rest } = options;
    const common = { host: HOST, path, agent: false, ...rest };
    const sent = as
      ? secureRequest({ ...common, ...materialOf(stack, as), port: secure, checkServerIdentity: () => undefined })
      : plainRequest({ ...common, port: plain });
    sent.on('error', reject).on('response', (response) => {
      const chunks: Buffer[] = [];
      response
        .on('data', (chunk: Buffer) => chunks.push(chunk))
        .on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }));
    });
    sent.end(body);
  });

describe.each([
  ['HTTPS', 'app2'],
  ['plain HTTP', undefined],
] as const)('over %s, everybody who can connect', (_, as) => {
  it('gets the checkpoint, which no cache may keep', async () => {
    const { status, headers, body } = await ask('/checkpoint', as);
    expect([status, headers['content-type'], headers['cache-control']]).toEqual([200, 'text/plain; charset=utf-8', 'no-cache']);
    expect(openNote(body.toString('utf8'), signer.verifier)).toContain('\n600\n');
  });

  it('gets hashes, full and at every width that the log has had, to keep for ever', async () => {
    const { status, headers, body } = await ask('/tile/0/000', as);
    expect([status, body.length, headers['content-type']]).toEqual([200, 8_192, 'application/octet-stream']);
    expect(headers['cache-control']).toBe('public, max-age=31536000, immutable');
    expect((await ask('/tile/0/000.p/7', as)).body).toEqual(body.subarray(0, 7 * 32));
    expect((await ask('/tile/0/002.p/88', as)).body).toHaveLength(88 * 32);
    expect((await ask('/tile/1/000.p/2', as)).body).toHaveLength(64);
  });

  it.each([
    '/tile/0/002',
    '/tile/0/002.p/89',
    '/tile/1/000',
    '/tile/1/000.p/3',
    '/tile/2/000.p/1',
    '/tile/0/x001/000',
    '/',
    '/checkpoint/',
    '/checkpoint?size=3',
    '/tile/0/000?width=3',
    '/tile/0/000/',
    '//tile/0/000',
    '/tile/0/%30%30%30',
    '/../etc/passwd',
    'http://elsewhere.example/checkpoint',
  ])('finds nothing at %s', async (path) => {
    const { status, headers } = await ask(path, as);
    expect([status, headers['cache-control']]).toEqual([404, 'no-store']);
  });

  it('can ask for what it would get, and cannot send anything', async () => {
    const { status, headers, body } = await ask('/tile/0/000', as, { method: 'HEAD' });
    expect([status, headers['content-length'], body.length]).toEqual([200, '8192', 0]);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])
      expect(await ask('/checkpoint', as, { method })).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
    const sent = await ask('/checkpoint', as, { body: 'x', headers: { 'content-length': 1 } });
    expect([sent.status, sent.headers.connection]).toEqual([400, 'close']);
  });
});

describe('entries', () => {
  it('go to a reader, with their hashes, and that he has read them is recorded before they leave', async () => {
    const { status, headers, body } = await ask('/tile/entries/002.p/88', 'auditor');
    expect([status, headers['cache-control']]).toEqual([200, 'private, max-age=31536000, immutable']);
    expect(Buffer.concat(splitBundle(body)!.map(leafHash))).toEqual((await ask('/tile/0/002.p/88')).body);
    expect(recorded).toEqual([`${auditor} log/512-599 SUCCESS ${HOST}`]);
    refuseEntries = true;
    expect(await ask('/tile/entries/001', 'auditor')).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    refuseEntries = false;
  });

  it('go to nobody else, and who tried is recorded', async () => {
    recorded.length = 0;
    const { status, body } = await ask('/tile/entries/000', 'app2');
    expect([status, body.toString('utf8')]).toEqual([403, 'this identity may not read entries; ask for it to be added to tiles.readers\n']);
    // Of what is there and what is not he learns the same.
    expect((await ask('/tile/entries/999', 'app2')).status).toBe(403);
    expect(recorded[0]).toBe(`${spiffeIdOf('app2')} log/0-255 DENIED ${HOST}`);
    expect((await ask('/tile/entries/000')).status).toBe(403);
  });

  it('that were removed after their time are gone for good, and the answer says so; their hashes are there', async () => {
    await log.scratch.sql('delete from entries where index < 256');
    const { status, body } = await ask('/tile/entries/000', 'auditor');
    expect([status, body.toString('utf8')]).toEqual([
      410,
      'these entries were removed after their time of retention; their hashes are still here\n',
    ]);
    expect((await ask('/tile/0/000', 'auditor')).status).toBe(200);
    expect((await ask('/tile/entries/001', 'auditor')).status).toBe(200);
  });
});

describe('who is nobody', () => {
  it('does not get through TLS', async () => {
    const { ca } = materialOf(stack, 'app');
    const sent = new Promise((resolve, reject) => {
      secureRequest({ host: HOST, port: secure, path: '/checkpoint', ca, checkServerIdentity: () => undefined }, resolve)
        .on('error', reject)
        .end();
    });
    await expect(sent).rejects.toThrow();
  });

  it('who sends what is no request is answered with 400, or not at all, and does not stop the others', async () => {
    for (const bytes of ['\u0000\u0001\u0002\r\n\r\n', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n\r\n`]) {
      const answered = await new Promise<string>((resolve) => {
        const socket = connect(plain, HOST, () => socket.write(bytes));
        let got = '';
        socket.on('data', (chunk: Buffer) => (got += chunk.toString('latin1'))).on('error', () => undefined);
        socket.on('close', () => resolve(got));
      });
      expect(answered).toMatch(/^$|^HTTP\/1\.1 4\d\d /);
    }
    expect((await ask('/checkpoint')).status).toBe(200);
  });
});
