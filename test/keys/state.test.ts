import { describe, expect, it } from 'vitest';
import { assertApproved, assertCanApprove } from '../../src/keys/approval.ts';
import { permits, targetsAbove, type Role, type Target } from '../../src/keys/access.ts';
import { ALL } from '../../src/keys/names.ts';
import { checkEtag, etagOf } from '../../src/kernel/etag.ts';
import { refusal, TRANSITIONS, type KeyState, type Operation } from '../../src/keys/state.ts';

const reasonOf = (check: () => void): string => {
  try {
    check();
    return 'passes';
  } catch (error) {
    return (error as { reason: string }).reason;
  }
};

describe('the states of a root key', () => {
  const OPERATIONS: Operation[] = ['wrap', 'unwrap', 'rewrap', 'rotate', 'update', 'disable', 'enable', 'delete', 'restore', 'destroy'];
  // As the design has it; a cell that is empty is refused.
  const TABLE = `
                      wrap  unwrap rewrap rotate update disable  enable  delete            restore  destroy
    ENABLED           =     =      =      =      =      DISABLED -       DESTROY_SCHEDULED -        -
    DISABLED          -     -      -      -      =      -        ENABLED DESTROY_SCHEDULED -        -
    EXPIRED           -     =      =      =      =      -        -       DESTROY_SCHEDULED -        -
    DESTROY_SCHEDULED -     -      -      -      -      -        -       -                 DISABLED DESTROYED
    DESTROYED         -     -      -      -      -      -        -       -                 -        -`;
  const [header = [], ...rows] = TABLE.trim()
    .split('\n')
    .map((line) => line.trim().split(/ +/));

  it.each(rows)('%s', (state, ...cells) => {
    expect(header).toEqual(OPERATIONS);
    const expected = Object.fromEntries(
      OPERATIONS.map((operation, i) => [operation, cells[i] === '=' ? state : cells[i]]).filter(([, to]) => to !== '-'),
    );
    expect(TRANSITIONS[state as KeyState]).toEqual(expected);
  });

  it('refuse with a reason of their own, naming the key, the state and what was asked for', () => {
    const reasons = (['DISABLED', 'EXPIRED', 'DESTROY_SCHEDULED', 'DESTROYED'] as const).map((state) => refusal('k', state, 'wrap'));
    expect(reasons.map((error) => error?.reason)).toEqual(['KEY_DISABLED', 'KEY_EXPIRED', 'KEY_DESTROY_SCHEDULED', 'KEY_DESTROYED']);
    expect(refusal('k', 'ENABLED', 'enable')).toMatchObject({
      reason: 'KEY_ENABLED',
      metadata: { resource: 'k', state: 'ENABLED', operation: 'enable' },
    });
  });
});

it('an etag is of one key in one revision', () => {
  const uid = '0197c1d2-0000-7000-8000-00000000abcd';
  expect(reasonOf(() => checkEtag('k', '', uid, 3n))).toBe('passes');
  expect(reasonOf(() => checkEtag('k', etagOf(uid, 3n), uid, 3n))).toBe('passes');
  expect(reasonOf(() => checkEtag('k', etagOf(uid, 3n), uid, 4n))).toBe('ETAG_MISMATCH');
  expect(reasonOf(() => checkEtag('k', etagOf(uid.replace('abcd', 'abce'), 3n), uid, 3n))).toBe('ETAG_MISMATCH');
});

describe('dual authorization', () => {
  it.each([
    [false, null, 'a', 'passes'],
    [true, null, 'a', 'APPROVAL_REQUIRED'],
    [true, 'a', 'a', 'APPROVAL_REQUIRED'],
    [true, 'b', 'a', 'passes'],
  ])('policy %s, approved by %s: %s may delete: %s', (dual_authorization, approved_by, principal, expected) => {
    expect(reasonOf(() => assertApproved('k', { dual_authorization, approved_by }, principal))).toBe(expected);
  });

  it.each([
    [false, null, 'DUAL_AUTHORIZATION_OFF'],
    [true, null, 'passes'],
    [true, 'b', 'ALREADY_APPROVED'],
  ])('policy %s, approved by %s: can be approved: %s', (dual_authorization, approved_by, expected) => {
    expect(reasonOf(() => assertCanApprove('k', { dual_authorization, approved_by }))).toBe(expected);
  });
});

describe('a right', () => {
  const [ring, key]: Target[] = [{ keyRing: 'r' }, { keyRing: 'r', key: 'k' }];
  const has = (target: string, role: Role) => new Map([[target, new Set([role])]]);

  it('counts for the target and all below it, and nowhere else', () => {
    expect(targetsAbove(key!)).toEqual([ALL, 'keyRings/r', 'keyRings/r/keys/k']);
    for (const [on, where, expected] of [
      [ALL, ring!, true],
      [ALL, ALL, true],
      ['keyRings/r', key!, true],
      ['keyRings/r', ALL, false],
      ['keyRings/r/keys/k', ring!, false],
      ['keyRings/r2', ring!, false],
      ['keyRings/r/keys/k2', key!, false],
    ] as const)
      expect(permits(has(on, 'MANAGER'), where, 'manage'), `${on} ${JSON.stringify(where)}`).toBe(expected);
  });

  it.each([
    ['READER', ['read']],
    ['MANAGER', ['read', 'manage']],
    ['PURGER', ['read', 'purge']],
    ['PROVISIONER', ['read', 'provision']],
  ] as [Role, string[]][])('of a %s is to %s', (role, expected) => {
    const found = (['read', 'manage', 'purge', 'provision'] as const).filter((permission) => permits(has(ALL, role), key!, permission));
    expect(found).toEqual(expected);
  });
});
