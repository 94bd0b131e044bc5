// New certificates on disk: a running service takes them up without a restart, and does not take up what does not fit.
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { createAuthority, issue, type Pair } from '../../src/dev/authority.ts';
import { readAuthority } from '../../src/dev/certificates.ts';
import { HOST, spiffeIdOf, tlsFilesOf } from '../../src/dev/stack.ts';
import { InstanceServiceService } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { secureContext } from '../../src/kernel/tls.ts';
import { clientsOf, connectWith, materialOf, unary } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { startReplica, type Replica } from '../support/replica.ts';

const stack = inject('stack');
const folder = mkdtempSync(join(tmpdir(), 'strongroom-tls-'));
const files = { certFile: join(folder, 'store.crt'), keyFile: join(folder, 'store.key'), caFile: join(folder, 'ca.crt') };
const authority = readAuthority(stack.certs);
let store: Replica;

const newLeaf = (days = 30): Promise<Pair> =>
  issue(authority, { commonName: 'store', uris: [spiffeIdOf('store')], dns: ['localhost'], ips: [HOST], days });
/** Beside the file and then in its place, as whoever rotates certificates should do. */
const put = (file: string, content: string): void => {
  writeFileSync(`${file}.new`, content, { mode: 0o600 });
  renameSync(`${file}.new`, file);
};
const putLeaf = ({ cert, key }: Pair): void => {
  put(files.certFile, cert);
  put(files.keyFile, key);
};
const serialOf = ({ cert }: Pair): string => new X509Certificate(cert).serialNumber;

/** Serial number of the certificate that a new connection sees. */
const seen = (): Promise<string> =>
  new Promise((resolve, reject) => {
    const [host, port] = store.address.split(':');
    const socket = connect({ ...materialOf(stack, 'operator'), host, port: Number(port), servername: 'localhost', ALPNProtocols: ['h2'] });
    socket.once('secureConnect', () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber ?? 'none');
      socket.destroy();
    });
    socket.once('error', reject);
  });
const isSeen = (leaf: Pair) => vi.waitFor(async () => expect(await seen()).toBe(serialOf(leaf)), { timeout: 3_000, interval: 50 });

let current: Pair;
beforeAll(async () => {
  current = await newLeaf();
  putLeaf(current);
  put(files.caFile, authority.cert);
  store = await startReplica(stack, 'store', { tls: files });
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe('a service whose certificate is replaced on disk', () => {
  it('shows the new one to new connections, serves on over old ones, and calls others with it', async () => {
    const old = clientsOf(store.stack, 'operator');
    await old.instances.listInstances({ pageSize: 1 });
    expect(await seen()).toBe(serialOf(current));

    current = await newLeaf();
    putLeaf(current);
    await isSeen(current);
    await old.instances.listInstances({ pageSize: 1 });
    const fresh = clientsOf(store.stack, 'operator');
    await fresh.instances.listInstances({ pageSize: 1 });
    expect(store.log()).toContain('certificates reloaded');
    for (const clients of [old, fresh]) clients[Symbol.dispose]();
  });

  it.each<[string, () => Promise<void>]>([
    ['a key that is not the certificate’s', async () => put(files.keyFile, (await newLeaf()).key)],
    ['a certificate without its key', async () => put(files.certFile, (await newLeaf()).cert)],
    ['an expired certificate', async () => putLeaf(await newLeaf(-1 / 86_400))],
    ['what is no certificate', async () => put(files.certFile, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')],
    ['nothing', async () => rmSync(files.certFile)],
  ])('by %s keeps the old one, says so, and takes the next good one', async (_, replace) => {
    const warnings = () => store.log().split('new certificates are not usable').length;
    const before = warnings();
    await replace();
    await vi.waitFor(() => expect(warnings()).toBeGreaterThan(before), { timeout: 3_000, interval: 50 });
    expect(await seen()).toBe(serialOf(current));
    const clients = clientsOf(store.stack, 'operator');
    await clients.instances.listInstances({ pageSize: 1 });
    clients[Symbol.dispose]();

    current = await newLeaf();
    putLeaf(current);
    await isSeen(current);
  });

  it('believes a new authority from the moment it is in the bundle, and no longer once it is out', async () => {
    const other = await createAuthority('Next year’s authority');
    const { cert, key } = await issue(other, { commonName: 'operator', uris: [spiffeIdOf('operator')] });
    const material = secureContext({ ca: readFileSync(tlsFilesOf(stack, 'ca').certFile), cert: Buffer.from(cert), key: Buffer.from(key) });
    const list = async () => {
      const client = connectWith(store.address, material);
      try {
        return await unary(client, InstanceServiceService).listInstances({ pageSize: 1 }, { timeoutMs: 2_000 });
      } finally {
        client.close();
      }
    };
    await expect(list()).rejects.toMatchObject({ code: 14 });
    put(files.caFile, `${authority.cert}${other.cert}`);
    await vi.waitFor(list, { timeout: 5_000, interval: 100 });
    put(files.caFile, authority.cert);
    await vi.waitFor(() => expect(list()).rejects.toMatchObject({ code: 14 }), { timeout: 10_000, interval: 100 });
    const clients = clientsOf(store.stack, 'app2');
    expect((await properRefusalOf(clients.instances.listInstances({}))).code).toBe('PERMISSION_DENIED');
    clients[Symbol.dispose]();
  });
});
