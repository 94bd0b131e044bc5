import { describe, expect, it } from 'vitest';
import { RootKey_State } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import { REASONS } from '../../src/kernel/errors.ts';
import { keyStateOf, UNREADABLE, type KeyState } from '../../src/store/key-state.ts';
import { TRANSITIONS } from '../../src/keys/state.ts';

describe('what an instance says of its root key', () => {
  it.each<[keyof typeof RootKey_State, boolean, KeyState]>([
    ['ENABLED', true, 'ENABLED'],
    ['ENABLED', false, 'NOT_GRANTED'],
    ['EXPIRED', true, 'EXPIRED'],
    ['EXPIRED', false, 'NOT_GRANTED'],
    ['DISABLED', true, 'DISABLED'],
    ['DISABLED', false, 'DISABLED'],
    ['DESTROY_SCHEDULED', true, 'DESTROY_SCHEDULED'],
    ['DESTROY_SCHEDULED', false, 'DESTROY_SCHEDULED'],
    ['DESTROYED', true, 'DESTROYED'],
    ['DESTROYED', false, 'DESTROYED'],
  ])('of one that is %s, granted: %s, is %s', (state, granted, expected) => {
    expect(keyStateOf({ rootKeyState: RootKey_State[state], granted })).toBe(expected);
  });

  it('is that nothing can be read exactly where the key service refuses to unwrap, with the same reason', () => {
    const { NOT_GRANTED, ...own } = UNREADABLE;
    expect(NOT_GRANTED).toBe('KEY_NOT_GRANTED');
    for (const state of Object.keys(TRANSITIONS) as (keyof typeof own)[])
      expect(own[state], state).toBe(TRANSITIONS[state].unwrap === undefined ? `KEY_${state}` : '');
    expect(Object.values(UNREADABLE).filter((reason) => reason !== '' && !(reason in REASONS))).toEqual([]);
  });
});
