// One service in several processes, over real mutual TLS: its callers find the one that answers.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuditWriterServiceService } from '../../src/gen/strongroom/audit/v1/audit_writer_service.ts';
import { Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { dialAuditor } from '../../src/kernel/audit.ts';
import { AppError } from '../../src/kernel/errors.ts';
import { register } from '../../src/kernel/table.ts';
import { openTls } from '../../src/kernel/tls.ts';
import { writeTlsFiles } from '../support/certs.ts';
import { freePort, newSite, recordingLog, spiffe, startServer, type Site } from './harness.ts';

let site: Site;
beforeAll(async () => {
  site = await newSite();
});
afterAll(() => site[Symbol.asyncDispose]());

type Answer = 'index' | 'standby' | 'silent' | 'refused';

/** One of the replicas; what it answers can be changed. */
const startReplica = async (first: Answer) => {
  const replica = { answer: first, asked: 0 };
  const registration = register(AuditWriterServiceService, {
    appendEvents: {
      action: 'audit.event.append',
      resource: () => ({ name: 'log' }),
      audit: 'none',
      facts: [],
      limits: { requestBytes: 1_000_000, deadlineMs: 10_000 },
      handler: async ({ events }) => {
        replica.asked++;
        if (replica.answer === 'silent') await new Promise(() => undefined);
        if (replica.answer === 'standby') throw new AppError('AUDIT_STANDBY', 'not my turn');
        if (replica.answer === 'refused') throw new AppError('TOO_MANY_REQUESTS', 'full');
        return { results: events.map(() => ({ outcome: { $case: 'index' as const, value: 7n } })) };
      },
    },
  });
  const server = await startServer(site, { registrations: [registration], config: { drain: 1 } });
  return Object.assign(replica, { port: server.port, stop: () => server[Symbol.asyncDispose]() });
};
type Replica = Awaited<ReturnType<typeof startReplica>>;

const withReplicas = async (
  answers: readonly Answer[],
  use: (append: (ms?: number) => Promise<bigint[]>, replicas: Replica[]) => Promise<void>,
) => {
  const replicas = await Promise.all(answers.map(startReplica));
  const tls = openTls(writeTlsFiles(site.folder, site.authority, site.app, 'app'), recordingLog());
  const address = [...replicas.map(({ port }) => `127.0.0.1:${port}`), `127.0.0.1:${await freePort()}`];
  const auditor = dialAuditor({ address, spiffeId: spiffe('service/keys') }, tls);
  try {
    await use((ms = 5_000) => auditor.append([Event.fromPartial({})], Date.now() + ms), replicas);
  } finally {
    await auditor[Symbol.asyncDispose]();
    await Promise.all(replicas.map((replica) => replica.stop()));
    await tls[Symbol.asyncDispose]();
  }
};

describe('an entry for the audit log', () => {
  it('goes to the replica that writes, and the next one goes there at once', () =>
    withReplicas(['standby', 'index'], async (append, [first, second]) => {
      for (let i = 0; i < 5; i++) expect(await append()).toEqual([7n]);
      expect([first!.asked, second!.asked]).toEqual([1, 5]);
    }));

  it('finds the writer that has become one after another: killed, standing by, or coming back', () =>
    withReplicas(['index', 'standby'], async (append, [first, second]) => {
      await append();
      await first!.stop();
      setTimeout(() => (second!.answer = 'index'), 500);
      expect(await append()).toEqual([7n]);
      second!.answer = 'standby';
      setTimeout(() => (second!.answer = 'index'), 300);
      expect(await append()).toEqual([7n]);
    }));

  it('does not wait long for a replica that does not answer', () =>
    withReplicas(['silent', 'index'], async (append) => {
      const begun = performance.now();
      expect(await append(4_000)).toEqual([7n]);
      expect(performance.now() - begun).toBeLessThan(2_500);
    }));

  it('is given up within its deadline when nobody writes, and at once when nobody is there', () =>
    withReplicas(['standby', 'standby'], async (append, replicas) => {
      let begun = performance.now();
      await expect(append(1_500)).rejects.toMatchObject({ reason: 'AUDIT_UNAVAILABLE' });
      expect(performance.now() - begun).toBeLessThan(1_500);
      for (const replica of replicas) await replica.stop();
      begun = performance.now();
      await expect(append(5_000)).rejects.toMatchObject({ reason: 'AUDIT_UNAVAILABLE' });
      expect(performance.now() - begun).toBeLessThan(2_000);
    }));

  it('is not sent on when the replica that writes has refused it', () =>
    withReplicas(['refused', 'index'], async (append, [, second]) => {
      await expect(append()).rejects.toMatchObject({ reason: 'TOO_MANY_REQUESTS' });
      expect(second!.asked).toBe(0);
    }));
});
