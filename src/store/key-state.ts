// What a root key lets an instance do, as a scope of the instance tells it, and the error that a read answers with. Pure.
import type { Scope } from '../gen/strongroom/keys/v1/envelope_service.ts';
import { RootKey_State } from '../gen/strongroom/keys/v1/key_service.ts';
import type { Reason } from '../kernel/errors.ts';

export type KeyState = 'ENABLED' | 'DISABLED' | 'EXPIRED' | 'DESTROY_SCHEDULED' | 'DESTROYED' | 'MATERIAL_EXPIRED' | 'NOT_GRANTED';

/** Empty where secrets can be read. */
export const UNREADABLE: Readonly<Record<KeyState, Reason | ''>> = {
  ENABLED: '',
  DISABLED: 'KEY_DISABLED',
  EXPIRED: '',
  DESTROY_SCHEDULED: 'KEY_DESTROY_SCHEDULED',
  DESTROYED: 'KEY_DESTROYED',
  MATERIAL_EXPIRED: 'KEY_MATERIAL_EXPIRED',
  NOT_GRANTED: 'KEY_NOT_GRANTED',
};

const OWN: Readonly<Record<RootKey_State, KeyState>> = {
  [RootKey_State.UNSPECIFIED]: 'ENABLED',
  [RootKey_State.ENABLED]: 'ENABLED',
  [RootKey_State.DISABLED]: 'DISABLED',
  [RootKey_State.EXPIRED]: 'EXPIRED',
  [RootKey_State.DESTROY_SCHEDULED]: 'DESTROY_SCHEDULED',
  [RootKey_State.DESTROYED]: 'DESTROYED',
};

/** In the order in which the key service refuses. */
export const keyStateOf = ({
  rootKeyState,
  granted,
  materialExpired,
}: Pick<Scope, 'rootKeyState' | 'granted' | 'materialExpired'>): KeyState => {
  const own = OWN[rootKeyState];
  if (UNREADABLE[own] !== '') return own;
  if (!granted) return 'NOT_GRANTED';
  return materialExpired ? 'MATERIAL_EXPIRED' : own;
};
