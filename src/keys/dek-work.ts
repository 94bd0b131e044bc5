// What DEK calls do with an item, the same for one and for many.
import type {
  GenerateDekRequest,
  GenerateDekResponse,
  RewrapDekRequest,
  RewrapDekResponse,
  UnwrapDekRequest,
  UnwrapDekResponse,
  WrapDekRequest,
  WrapDekResponse,
} from '../gen/strongroom/keys/v1/envelope_service.ts';
import { invalid } from '../kernel/errors.ts';
import { generateDek, keyVersionOf, unwrapAndRenew, unwrapDek, wrapDek } from './dek.ts';
import type { Work } from './items.ts';
import type { Need } from './scope-keys.ts';
import { KEY_BYTES } from './wrap.ts';

/** Any version will do, since the primary one is used. */
const WRAP: Need = { operation: 'wrap', version: 1 };
const REWRAP: Need = { operation: 'rewrap', version: 1 };

export const generate: Work<GenerateDekRequest, GenerateDekResponse> = ({ place, lend }) =>
  lend(place, WRAP, (scopeKey) => generateDek(scopeKey, place));

export const wrap: Work<WrapDekRequest, WrapDekResponse> = async ({ place, lend }, { dek }) => {
  if (dek.length !== KEY_BYTES) throw invalid('dek', `must be ${KEY_BYTES} bytes`);
  return { wrappedDek: await lend(place, WRAP, (scopeKey) => wrapDek(scopeKey, dek, place)).finally(() => dek.fill(0)) };
};

export const unwrap: Work<UnwrapDekRequest, UnwrapDekResponse> = ({ place, lend }, { wrappedDek }) =>
  lend(place, { operation: 'unwrap', version: keyVersionOf(wrappedDek) }, (scopeKey) => unwrapAndRenew(scopeKey, wrappedDek, place));

/** To another scope it is as new as a DEK that was made there. */
export const rewrap: Work<RewrapDekRequest, RewrapDekResponse> = async ({ place, target, lend }, { wrappedDek }) => {
  const dek = await lend(place, { operation: 'rewrap', version: keyVersionOf(wrappedDek) }, (scopeKey) =>
    unwrapDek(scopeKey, wrappedDek, place),
  );
  return {
    wrappedDek: await lend(target, target === place ? REWRAP : WRAP, (scopeKey) => wrapDek(scopeKey, dek, target)).finally(() =>
      dek.fill(0),
    ),
  };
};
