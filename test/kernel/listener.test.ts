import { renameSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newAuthority, writeTlsFiles } from '../support/certs.ts';
import { APP, call, contextOf, eventually, newSite, spiffe, startServer, type Site } from './harness.ts';

let site: Site;
beforeAll(async () => {
  site = await newSite();
});
afterAll(() => site[Symbol.asyncDispose]());

/** How a bare TLS connection ends: open once the server has sent its HTTP/2 settings, or with the error's code. */
const handshake = (port: number, options: ConnectionOptions): Promise<{ outcome: string; reused: boolean; session: Buffer | undefined }> =>
  new Promise((resolve) => {
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      servername: 'localhost',
      checkServerIdentity: () => undefined,
      ALPNProtocols: ['h2'],
      ...options,
    });
    let session: Buffer | undefined;
    const end = (outcome: string) => {
      resolve({ outcome, reused: socket.isSessionReused(), session });
      socket.destroy();
    };
    socket.on('session', (ticket: Buffer) => (session = ticket));
    socket.once('data', () => end('open'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    socket.once('close', () => end('closed'));
  });

const withApp = (): ConnectionOptions => ({ ca: site.authority.cert, cert: site.app.cert, key: site.app.key });

describe('a connection', () => {
  it('is TLS 1.3 with a key exchange that a later quantum computer does not open', async () => {
    await using server = await startServer(site);
    const socket = connectTls({
      host: '127.0.0.1',
      port: server.port,
      servername: 'localhost',
      checkServerIdentity: () => undefined,
      ALPNProtocols: ['h2'],
      ...withApp(),
    });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    expect(socket.getProtocol()).toBe('TLSv1.3');
    expect(socket.getEphemeralKeyInfo()).toMatchObject({ name: 'X25519MLKEM768' });
    socket.destroy();
  });

  it('without a client certificate is refused in the handshake, and the failure is logged with its address', async () => {
    await using server = await startServer(site);
    expect((await handshake(server.port, { ca: site.authority.cert })).outcome).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
    await eventually(
      () =>
        server.log.lines.some(
          (line) => line.level === 'warn' && line.message === 'a connection failed mutual TLS' && line.address === '127.0.0.1',
        ),
      'the log line',
    );
  });

  it('with a certificate of another CA is refused, also when that CA has the same name', async () => {
    await using server = await startServer(site);
    const impostor = await (await newAuthority()).issue({ uris: [APP] });
    const { outcome } = await handshake(server.port, { ca: site.authority.cert, cert: impostor.cert, key: impostor.key });
    expect(outcome).toBe('closed');
  });

  it('with a certificate that has ended, or has not begun, is refused', async () => {
    await using server = await startServer(site);
    const day = 86_400_000;
    for (const dates of [
      { notAfter: new Date(Date.now() - 1_000) },
      { notBefore: new Date(Date.now() + day), notAfter: new Date(Date.now() + 2 * day) },
    ]) {
      const { cert, key } = await site.authority.issue({ uris: [APP], ...dates });
      expect((await handshake(server.port, { ca: site.authority.cert, cert, key })).outcome).toBe('closed');
    }
  });

  it('with TLS 1.2 at most is refused', async () => {
    await using server = await startServer(site);
    expect((await handshake(server.port, { ...withApp(), maxVersion: 'TLSv1.2' })).outcome).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  });

  it('cannot be taken up again: a resumed session would pass without its certificate, revoked or not', async () => {
    await using server = await startServer(site);
    const { outcome, session } = await handshake(server.port, withApp());
    expect(outcome).toBe('open');
    // OpenSSL sends a ticket all the same; it must open nothing.
    expect(session).toBeDefined();
    expect((await handshake(server.port, { ca: site.authority.cert, session })).outcome).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
    const again = await handshake(server.port, { ...withApp(), session });
    expect([again.outcome, again.reused]).toEqual(['open', false]);
  });

  it('that does not speak HTTP/2 is closed', async () => {
    await using server = await startServer(site);
    expect((await handshake(server.port, { ...withApp(), ALPNProtocols: ['http/1.1'] })).outcome).toMatch(/NO_APPLICATION_PROTOCOL|closed/);
    const { ALPNProtocols: _, ...noAlpn } = { ...withApp(), ALPNProtocols: [] };
    expect((await handshake(server.port, { ...noAlpn, ALPNProtocols: [] })).outcome).toBe('closed');
  });

  it('that never begins its handshake is closed after 5 seconds', async () => {
    await using server = await startServer(site);
    const begun = performance.now();
    const socket = connectTcp(server.port, '127.0.0.1').resume();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(performance.now() - begun).toBeGreaterThan(4_500);
    expect(performance.now() - begun).toBeLessThan(7_000);
  }, 10_000);

  it('to a port that is taken stops the start with a sentence that says what to do', async () => {
    await using server = await startServer(site);
    await expect(startServer(site, { config: { listen: { host: '127.0.0.1', port: server.port } } })).rejects.toThrow(
      `port ${server.port} on 127.0.0.1 is taken; stop what uses it or choose another`,
    );
  });
});

describe('revocation', () => {
  it('refuses a certificate on the list and no other, and takes a new list without a restart', async () => {
    await using own = await newSite();
    const operator = await own.authority.issue({ uris: [spiffe('operator')] });
    const crlFile = join(own.folder, 'ca.crl');
    writeFileSync(crlFile, await own.authority.crl([own.app]));
    await using server = await startServer(own, { files: { ...own.files, crlFile } });
    const attempt = async (issued: typeof operator) =>
      (await handshake(server.port, { ca: own.authority.cert, cert: issued.cert, key: issued.key })).outcome;
    expect(await attempt(own.app)).toBe('closed');
    expect(await attempt(operator)).toBe('open');

    writeFileSync(`${crlFile}.new`, await own.authority.crl([operator]));
    renameSync(`${crlFile}.new`, crlFile);
    await eventually(() => server.log.lines.some((line) => line.message === 'certificates reloaded'), 'the new list is read');
    expect(await attempt(own.app)).toBe('open');
    expect(await attempt(operator)).toBe('closed');
  });
});

describe('certificates that change on disk', () => {
  const serialAt = (port: number, context: ConnectionOptions): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connectTls({
        host: '127.0.0.1',
        port,
        servername: 'localhost',
        checkServerIdentity: () => undefined,
        ALPNProtocols: ['h2'],
        ...context,
      });
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
        socket.destroy();
      });
    });

  it('are served to new connections, while a pair that does not fit keeps the old ones and is logged', async () => {
    await using own = await newSite();
    const context: ConnectionOptions = { ca: own.authority.cert, cert: own.app.cert, key: own.app.key };
    await using server = await startServer(own);
    const client = server.client(contextOf(own, own.app));
    const before = await serialAt(server.port, context);
    expect((await call(client)).code).toBe('OK');

    const next = await own.authority.issue({ uris: [spiffe('service/keys')] });
    const put = (file: string, text: string): void => {
      writeFileSync(`${file}.new`, text, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    };
    const logged = (message: RegExp) => server.log.lines.filter((line) => message.test(line.message)).length;
    put(own.files.certFile, next.cert);
    await eventually(() => logged(/not usable/) === 1, 'the certificate without its key is refused');
    expect(server.log.lines.find((line) => /not usable/.test(line.message))?.error).toContain('is not the key of');
    expect(await serialAt(server.port, context)).toBe(before);

    put(own.files.keyFile, next.key);
    await eventually(() => logged(/reloaded/) === 1, 'the pair is taken');
    expect(await serialAt(server.port, context)).toBe(next.parsed.serialNumber.toUpperCase());
    // The connection of before goes on.
    expect((await call(client)).code).toBe('OK');

    const ended = await own.authority.issue({ uris: [spiffe('service/keys')], notAfter: new Date(Date.now() - 1_000) });
    put(own.files.certFile, 'not a certificate');
    await eventually(() => logged(/not usable/) === 2, 'garbage is refused');
    writeTlsFiles(own.folder, own.authority, ended);
    await eventually(() => server.log.lines.some((line) => /is not valid now/.test(line.error ?? '')), 'an ended certificate is refused');
    expect(await serialAt(server.port, context)).toBe(next.parsed.serialNumber.toUpperCase());
  });
});
