// The command that exports audit events: run as an operator runs it, it writes what is in the log, goes on with what comes, and
// after a stop with what it has not written yet.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, inject, it, vi } from 'vitest';
import { addressOf, ROOT, spiffeIdOf, tlsFilesOf, type Caller } from '../../src/dev/stack.ts';
import { sizeOf } from '../support/audit-log.ts';
import { clientsOf } from '../support/clients.ts';
import { newId } from '../support/tenants.ts';

const stack = inject('stack');
const auditor = clientsOf(stack, 'auditor');
const folder = mkdtempSync(join(tmpdir(), 'strongroom-export-'));
afterAll(() => {
  auditor[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

interface Running extends AsyncDisposable {
  readonly lines: Record<string, unknown>[];
  readonly exit: Promise<number | null>;
  readonly stderr: () => string;
}

const run = (caller: Caller, ...args: string[]): Running => {
  const config = join(folder, `${caller}.json`);
  const audit = { address: addressOf(stack, 'audit'), spiffeId: spiffeIdOf('audit') };
  writeFileSync(config, JSON.stringify({ tls: tlsFilesOf(stack, caller), audit }));
  const child: ChildProcess = spawn(process.execPath, [join(ROOT, 'src/main.ts'), 'export-events', config, ...args]);
  const lines: Record<string, unknown>[] = [];
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString('utf8')));
  createInterface({ input: child.stdout! }).on('line', (line) => lines.push(JSON.parse(line) as Record<string, unknown>));
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return {
    lines,
    exit,
    stderr: () => stderr,
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await exit;
    },
  };
};
const call = async (): Promise<string> => {
  const id = newId('export');
  await auditor.auditLog.getCheckpoint({}, { metadata: { 'x-correlation-id': id } });
  return id;
};
const until = (work: () => void) => vi.waitFor(work, { timeout: 10_000, interval: 20 });

describe('node src/main.ts export-events', () => {
  it('writes each entry as a line, new ones as they come, and goes on where it was', async () => {
    const position = join(folder, 'position');
    const from = String(await sizeOf(auditor));
    const ids = [await call()];
    const args = ['--format', 'cloudevents', '--from', from, '--position', position];
    {
      await using first = run('auditor', ...args);
      const found = () => first.lines.flatMap(({ correlationid: id }) => (ids.includes(String(id)) ? [id] : []));
      await until(() => expect(found()).toEqual(ids));
      ids.push(await call());
      await until(() => expect(found()).toEqual(ids));
      expect(first.lines[0]).toMatchObject({ specversion: '1.0', sequence: from.padStart(19, '0') });
      const next = BigInt(String(first.lines.at(-1)?.['sequence'])) + 1n;
      await until(() => expect(BigInt(readFileSync(position, 'utf8'))).toBeGreaterThanOrEqual(next));
    }
    const later = await call();
    await using second = run('auditor', ...args);
    await until(() => expect(second.lines.map(({ correlationid: id }) => id)).toContain(later));
    expect(second.lines.map(({ correlationid: id }) => id)).not.toContain(ids[1]);
  });

  it.each([
    ['without a format', 'auditor', [], /usage: node src\/main.ts export-events/],
    ['from no index', 'auditor', ['--format', 'ocsf', '--from', 'x'], /--from must be the index of an entry/],
    ['as somebody who may not read the log', 'app2', ['--format', 'json'], /not allowed to do audit.entry.tail/],
  ] as const)('says in one sentence what is wrong when it is started %s', async (_, caller, args, sentence) => {
    await using command = run(caller, ...args);
    expect(await command.exit).toBe(1);
    expect(command.stderr()).toMatch(sentence);
    expect(command.stderr().trim().split('\n')).toHaveLength(1);
  });
});
