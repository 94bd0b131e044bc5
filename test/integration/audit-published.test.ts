// An audit log with everything that it can publish turned on, as its configuration says it: two keys in rotation, ML-DSA-44, a witness, and
// the log as files.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { openNote, openSigner, parseVerifier, readNote } from '../../src/audit/note.ts';
import { parseCosigner } from '../../src/audit/cosignature.ts';
import { start } from '../../src/audit/main.ts';
import { SUPERUSER_ROLE } from '../../src/dev/certificates.ts';
import { HOST, ROOT, spiffeIdOf, tlsFilesOf, TRUST_DOMAIN, type Caller, type Stack } from '../../src/dev/stack.ts';
import { Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, materialOf, refusalOf } from '../support/clients.ts';
import { freePort } from '../support/ports.ts';
import { openWitness, type TestWitness } from '../support/witness.ts';
import { scratchDatabase, type Scratch } from './scratch.ts';

const origin = 'test.example/published';
const folder = mkdtempSync(join(tmpdir(), 'strongroom-published-'));
const seeds = { old: randomBytes(32), new: randomBytes(32), mldsa: randomBytes(32) };
let stack: Stack;
let scratch: Scratch;
let witness: TestWitness;
let tilesPort: number;

beforeAll(async () => {
  const shared = inject('stack');
  stack = { ...shared, ports: { ...shared.ports, audit: await freePort() } };
  tilesPort = await freePort();
  scratch = await scratchDatabase(stack, join(ROOT, 'src/audit/migrations'));
  for (const [name, seed] of Object.entries(seeds)) writeFileSync(join(folder, `${name}.key`), seed, { mode: 0o600 });
  witness = await openWitness('witness.example/one', openSigner(origin, seeds.old).verifier);
});
afterAll(async () => {
  await witness[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const run = (change: object): Promise<AsyncDisposable> => {
  const file = join(folder, 'audit.json');
  const config = {
    service: 'audit',
    trustDomain: TRUST_DOMAIN,
    listen: { host: HOST, port: stack.ports.audit },
    tls: tlsFilesOf(stack, 'audit'),
    database: { host: HOST, port: stack.ports.postgres, name: scratch.name, user: SUPERUSER_ROLE, tls: tlsFilesOf(stack, 'superuser') },
    allow: Object.fromEntries(
      ['AuditService', 'AuditWriterService', 'AuditAdminService'].map((name) => [`strongroom.audit.v1.${name}`, ['*']]),
    ),
    auditors: { 'strongroom.audit.v1.AuditService': [spiffeIdOf('auditor')] },
    log: { level: 'silent' },
    drain: '500ms',
    origin,
    checkpointFiles: ['checkpoint'],
    ...change,
  };
  writeFileSync(file, JSON.stringify(config));
  return start(file);
};
const append = async (): Promise<void> => {
  using store = clientsOf(stack, 'store');
  const event = {
    eventId: uuidv7(),
    occurTime: new Date(),
    action: 'secrets.secret.read',
    principal: spiffeIdOf('app'),
    outcome: 1 as const,
  };
  await store.auditWriter.appendEvents({ events: [Event.fromPartial(event)] });
};
const get = (path: string, as: Caller): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    const options = { host: HOST, port: tilesPort, path, agent: false, checkServerIdentity: () => undefined, ...materialOf(stack, as) };
    request(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    })
      .on('error', reject)
      .end();
  });

describe('an audit log that publishes', () => {
  it('signs with every key, has witnesses cosign, and gives out files and entries to whom it may', async () => {
    const witnesses = { members: [{ name: 'one', verifierKey: witness.verifier.text, url: `${witness.url}/` }], quorum: 1 };
    const tiles = { listen: { host: HOST, port: tilesPort }, readers: [spiffeIdOf('auditor')] };
    await using _ = await run({ signingKeyFile: 'old.key', mlDsaKeyFile: 'mldsa.key', witnesses, tiles });
    await append();
    using auditor = clientsOf(stack, 'auditor');
    const { note, verifierKeys, policy } = await auditor.auditLog.getCheckpoint({});
    const [log, mlDsa] = [parseVerifier(verifierKeys[0]!)!, parseCosigner(verifierKeys[1]!)!];
    expect(readNote(note, [log, mlDsa])?.verified).toHaveLength(2);
    expect(policy).toBe(`log ${log.text}\nwitness one ${witness.verifier.text}\ngroup witnesses 1 one\nquorum witnesses\n`);
    await vi.waitFor(async () => expect((await auditor.auditLog.getCheckpoint({ cosigned: true })).treeSize).toBeGreaterThan(0n), 5_000);

    // The allowlist of this log is open to everybody, and the whole of it is for its auditors all the same.
    using app2 = clientsOf(stack, 'app2');
    expect(await refusalOf(app2.exportLog({}).next())).toMatchObject({ reason: 'PERMISSION_DENIED' });
    expect((await Array.fromAsync(auditor.exportLog({}))).at(-1)?.path).toBe('checkpoint');

    expect(openNote((await get('/checkpoint', 'app2')).body, [log])).toContain(`${origin}\n`);
    expect((await get('/tile/entries/000.p/1', 'auditor')).body).toContain('secrets.secret.read');
    expect((await get('/tile/entries/000.p/1', 'app2')).status).toBe(403);
    const reads = await entriesOf(auditor, { action: 'audit.bundle.read' });
    const told = reads.map(({ event }) => `${event?.principal} ${event?.resource} ${event?.reason} ${event?.sourceAddress}`);
    expect(told.toSorted((a, b) => a.localeCompare(b))).toEqual([
      `${spiffeIdOf('app2')} log/0-0 PERMISSION_DENIED ${HOST}`,
      `${spiffeIdOf('auditor')} log/0-0  ${HOST}`,
    ]);
    witness.remember({ size: 1n, root: randomBytes(32) });
    await append();
    await vi.waitFor(async () => expect(await entriesOf(auditor, { action: 'audit.witness.alarm' })).toHaveLength(1), 5_000);
  });

  it('changes its key without a break: both sign for a while, and then the new one alone', async () => {
    const [old, next] = [openSigner(origin, seeds.old).verifier, openSigner(origin, seeds.new).verifier];
    const newest = async () => {
      using auditor = clientsOf(stack, 'auditor');
      return await auditor.auditLog.getCheckpoint({});
    };
    await expect(run({ signingKeyFile: 'new.key' })).rejects.toThrow('is not signed with this');
    {
      await using _ = await run({ signingKeyFile: 'new.key', formerSigningKeyFile: 'old.key' });
      await append();
      const { note, verifierKeys } = await newest();
      expect(readNote(note, [old, next])?.verified).toHaveLength(2);
      expect(verifierKeys).toEqual([next.text, old.text]);
    }
    await using _ = await run({ signingKeyFile: 'new.key' });
    const { note } = await newest();
    expect([openNote(note, next) !== undefined, openNote(note, old)]).toEqual([true, undefined]);
    // Receipts of before the change are to be had under the key of today.
    using auditor = clientsOf(stack, 'auditor');
    const { receipt } = await auditor.auditLog.getInclusionProof({ index: 0n, treeSize: 1n });
    expect(openNote(receipt.slice(receipt.indexOf('\n\n') + 2), next)).toContain('\n1\n');
    await append();
    await vi.waitFor(() => expect(openNote(readFileSync(join(folder, 'checkpoint'), 'utf8'), next)).toBeDefined(), 5_000);
  });

  it.each([
    ['witnesses.quorum', { witnesses: { members: [{ name: 'a', verifierKey: '', url: 'http://localhost' }], quorum: 2 } }],
    ['tiles.readers', { tiles: { listen: { host: HOST, port: 0 }, plain: true, readers: [spiffeIdOf('auditor')] } }],
    ['witnesses.members.0.url', { witnesses: { members: [{ name: 'a', verifierKey: '', url: 'file:///etc/passwd' }], quorum: 1 } }],
    ['witnesses.members.0.name', { witnesses: { members: [{ name: 'a b', verifierKey: '', url: 'http://localhost' }], quorum: 1 } }],
    ['none may be called', { witnesses: { members: [{ name: 'none', verifierKey: '', url: 'http://localhost' }], quorum: 1 } }],
    ['is not a key of a cosigner', { witnesses: { members: [{ name: 'a', verifierKey: 'x', url: 'http://localhost' }], quorum: 1 } }],
  ])('does not start on a configuration that cannot be meant, and names %s', async (what, change) => {
    const text = JSON.stringify(change).replace('"verifierKey":""', `"verifierKey":"${witness.verifier.text}"`);
    await expect(run({ signingKeyFile: 'new.key', ...(JSON.parse(text) as object) })).rejects.toThrow(what);
  });
});
