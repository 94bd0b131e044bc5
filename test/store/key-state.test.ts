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
    expect(keyStateOf({ rootKeyState: RootKey_State[state], granted, materialExpired: false })).toBe(expected);
  });

  it('is that its imported material has expired, unless something else stands in the way before', () => {
    const of = (state: keyof typeof RootKey_State, granted: boolean) =>
      keyStateOf({ rootKeyState: RootKey_State[state], granted, materialExpired: true });
    expect([of('ENABLED', true), of('EXPIRED', true)]).toEqual(['MATERIAL_EXPIRED', 'MATERIAL_EXPIRED']);
    expect([of('ENABLED', false), of('DISABLED', true)]).toEqual(['NOT_GRANTED', 'DISABLED']);
  });

  it('is that nothing can be read exactly where the key service refuses to unwrap, with the same reason', () => {
    const { NOT_GRANTED, MATERIAL_EXPIRED, ...own } = UNREADABLE;
    expect([NOT_GRANTED, MATERIAL_EXPIRED]).toEqual(['KEY_NOT_GRANTED', 'KEY_MATERIAL_EXPIRED']);
    for (const state of Object.keys(TRANSITIONS) as (keyof typeof own)[])
      expect(own[state], state).toBe(TRANSITIONS[state].unwrap === undefined ? `KEY_${state}` : '');
    expect(Object.values(UNREADABLE).filter((reason) => reason !== '' && !(reason in REASONS))).toEqual([]);
  });
});
