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
import { KEY_BYTES } from './wrap.ts';

/** Any version will do, since the primary one is used. */
const ANY = 1;

export const generate: Work<GenerateDekRequest, GenerateDekResponse> = ({ place, lend }) =>
  lend(place, ANY, (scopeKey) => generateDek(scopeKey, place));

export const wrap: Work<WrapDekRequest, WrapDekResponse> = async ({ place, lend }, { dek }) => {
  if (dek.length !== KEY_BYTES) throw invalid('dek', `must be ${KEY_BYTES} bytes`);
  return { wrappedDek: await lend(place, ANY, (scopeKey) => wrapDek(scopeKey, dek, place)).finally(() => dek.fill(0)) };
};

export const unwrap: Work<UnwrapDekRequest, UnwrapDekResponse> = ({ place, lend }, { wrappedDek }) =>
  lend(place, keyVersionOf(wrappedDek), (scopeKey) => unwrapAndRenew(scopeKey, wrappedDek, place));

export const rewrap: Work<RewrapDekRequest, RewrapDekResponse> = async ({ place, target, lend }, { wrappedDek }) => {
  const dek = await lend(place, keyVersionOf(wrappedDek), (scopeKey) => unwrapDek(scopeKey, wrappedDek, place));
  return { wrappedDek: await lend(target, ANY, (scopeKey) => wrapDek(scopeKey, dek, target)).finally(() => dek.fill(0)) };
};
