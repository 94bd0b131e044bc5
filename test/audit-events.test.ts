// The catalogue of audit events: it is as the code is, and every action in it can be produced. Those of the service tables are
// recorded by the matrix of test/authz, which calls every RPC; for every other one this says which test has it recorded.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { catalogue, FILE, rowsOf, SOURCES } from '../src/dev/audit-events.ts';
import { ROOT } from '../src/dev/stack.ts';
import { FACTS } from '../src/kernel/facts.ts';
import { REFUSED } from '../src/kernel/table.ts';

const own = SOURCES.flatMap((source) => source.own);
const rows = SOURCES.flatMap(rowsOf);

/** By action: the test that finds it in a log. */
const FOUND_BY: Readonly<Record<string, string>> = {
  'audit.bundle.read': 'integration/audit-published.test.ts',
  'audit.entry.tail.end': 'integration/audit-auditors.test.ts',
  'audit.log.mismatch': 'integration/audit-self-check.test.ts',
  'audit.range.prune': 'integration/audit-retention.test.ts',
  'audit.witness.alarm': 'integration/audit-published.test.ts',
  'keys.event.overdue': 'integration/key-events.test.ts',
  'keys.importjob.attempt': 'integration/import.test.ts',
  'keys.importjob.expire': 'integration/import-epochs.test.ts',
  'keys.masterkey.destroy': 'integration/epochs.test.ts',
  'keys.masterkey.rotate': 'integration/epochs.test.ts',
  'keys.rootkey.destroy': 'integration/root-keys.test.ts',
  'keys.rootkey.expire': 'integration/key-events.test.ts',
  'keys.rootkey.material.expire': 'integration/import-expiry.test.ts',
  'keys.rootkey.move': 'integration/rotation.test.ts',
  'keys.rootkey.rotate': 'integration/rotation.test.ts',
  'rpc.call.refuse': 'integration/bad-peer.test.ts',
  'secrets.group.delete': 'integration/reconcile.test.ts',
  'secrets.group.purge': 'integration/purge.test.ts',
  'secrets.group.purge.start': 'integration/purge.test.ts',
  'secrets.group.rekey': 'integration/rekey.test.ts',
  'secrets.group.rekey.start': 'integration/rekey.test.ts',
  'secrets.instance.delete': 'integration/reconcile.test.ts',
  'secrets.instance.purge': 'integration/audit-auditors.test.ts',
  'secrets.instance.purge.start': 'integration/audit-auditors.test.ts',
  'secrets.secret.expire': 'integration/expiry.test.ts',
  'secrets.secret.purge': 'integration/purge.test.ts',
  'secrets.secret.purge.start': 'integration/purge.test.ts',
  'secrets.secret.rotate.scheduled': 'integration/secret-rotation.test.ts',
  'secrets.version.expire': 'integration/expiry.test.ts',
  'secrets.version.purge': 'integration/retention.test.ts',
  'secrets.version.trim': 'integration/keep-policy.test.ts',
  'secrets.version.purge.start': 'integration/retention.test.ts',
};

describe('docs/audit-events.md', () => {
  it('is the catalogue of what the code records; if not, run: node src/dev/audit-events.ts', () => {
    expect(readFileSync(FILE, 'utf8')).toBe(catalogue());
  });
});

describe('every action', () => {
  it('has a name that the log takes', () => {
    expect([...rows, ...own, REFUSED].map(({ action }) => action).filter((action) => !/^[a-z]+(\.[a-z]+){2,3}$/.test(action))).toEqual([]);
  });

  it('that is no row of a service table is found in the log by the test that is named here', () => {
    expect(Object.keys(FOUND_BY).sort()).toEqual([...own, REFUSED].map(({ action }) => action).sort());
    const mentions = (file: string, action: string) =>
      new RegExp(`['\`]${action}['\` ]`).test(readFileSync(join(ROOT, 'test', file), 'utf8'));
    const missing = Object.entries(FOUND_BY).filter(([action, file]) => !mentions(file, action));
    expect(missing).toEqual([]);
  });

  it('lists attributes of the vocabulary, all of which some action lists', () => {
    const listed = new Set([...rows, ...own].flatMap(({ facts }) => facts));
    expect(Object.keys(FACTS).filter((fact) => fact !== 'replay' && !listed.has(fact as keyof typeof FACTS))).toEqual([]);
  });
});
