import { describe, expect, it } from 'vitest';
import { checkEtag, etagOf } from '../../src/kernel/etag.ts';
import {
  assertActive,
  assertDeleted,
  assertKept,
  assertReadable,
  assertScheduled,
  type State,
  type VersionState,
} from '../../src/store/state.ts';

const reasonOf = (check: () => void): string => {
  try {
    check();
    return 'passes';
  } catch (error) {
    expect(error).toMatchObject({ metadata: { resource: 'instances/i' } });
    return (error as { reason: string }).reason;
  }
};

describe('instance, group and secret', () => {
  const expected: Record<State, { active: string; deleted: string }> = {
    ACTIVE: { active: 'passes', deleted: 'NOT_DELETED' },
    DELETED: { active: 'RESOURCE_DELETED', deleted: 'passes' },
    PURGING: { active: 'PURGE_STARTED', deleted: 'PURGE_STARTED' },
  };
  it.each(Object.entries(expected) as [State, { active: string; deleted: string }][])('in state %s', (state, { active, deleted }) => {
    expect(reasonOf(() => assertActive('instances/i', state))).toBe(active);
    expect(reasonOf(() => assertDeleted('instances/i', state))).toBe(deleted);
  });
});

describe('version', () => {
  type Row = { readable: string; kept: string; scheduled: string };
  const expected: Record<VersionState, Row> = {
    ENABLED: { readable: 'passes', kept: 'passes', scheduled: 'NOT_DELETED' },
    DISABLED: { readable: 'VERSION_DISABLED', kept: 'passes', scheduled: 'NOT_DELETED' },
    DESTROY_SCHEDULED: { readable: 'VERSION_DESTROY_SCHEDULED', kept: 'VERSION_DESTROY_SCHEDULED', scheduled: 'passes' },
    DESTROYED: { readable: 'VERSION_DESTROYED', kept: 'VERSION_DESTROYED', scheduled: 'VERSION_DESTROYED' },
  };
  it.each(Object.entries(expected) as [VersionState, Row][])('in state %s', (state, { readable, kept, scheduled }) => {
    expect(reasonOf(() => assertReadable('instances/i', state))).toBe(readable);
    expect(reasonOf(() => assertKept('instances/i', state))).toBe(kept);
    expect(reasonOf(() => assertScheduled('instances/i', state))).toBe(scheduled);
  });
});

describe('etags', () => {
  const uid = '0190a5c0-0000-7000-8000-00000000000a';
  it('are quoted, and other ones for each revision and each resource of one name', () => {
    const all = [etagOf(uid, 1n), etagOf(uid, 2n), etagOf(uid, 2n ** 40n), etagOf(uid.replace('0190', '0191'), 1n)];
    expect(new Set(all).size).toBe(all.length);
    for (const etag of all) expect(etag).toMatch(/^"[0-9a-z-]+"$/);
  });

  it('let a change pass when they fit or are not given, and stop it when the resource has changed', () => {
    expect(() => checkEtag('n', '', uid, 5n)).not.toThrow();
    expect(() => checkEtag('n', etagOf(uid, 5n), uid, 5n)).not.toThrow();
    for (const stale of [etagOf(uid, 4n), etagOf(uid, 6n), etagOf(uid, 5n).slice(1, -1), '*', ' ']) {
      expect(() => checkEtag('n', stale, uid, 5n), stale).toThrow(expect.objectContaining({ reason: 'ETAG_MISMATCH', code: 'ABORTED' }));
    }
  });
});
