// UnwrapDek, as the store calls it for one caller after another, and BatchUnwrapDeks, as a service does that needs many at once for
// one caller: 1,000 data keys of 10 scopes, made before the load.
import { randomUUID } from 'node:crypto';
import {
  BatchGenerateDeksRequest,
  BatchGenerateDeksResponse,
  BatchUnwrapDeksRequest,
  BatchUnwrapDeksResponse,
  EnvelopeServiceService,
  UnwrapDekRequest,
  UnwrapDekResponse,
} from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { frame } from '../grpc.ts';
import { assertThat, doAll, type Operation, type Prepared, type World } from '../operation.ts';

const BATCH = 100;

interface Wrapped {
  request: UnwrapDekRequest;
  dek: Buffer;
}

const KEYS = { to: 'keys', as: 'store' } as const;

/** So many data keys in each scope. */
export const generateDeks = async (world: World, count: number): Promise<Wrapped[]> => {
  const { instance, groups } = world;
  const made: Wrapped[] = [];
  const calls = groups.map(({ name, uid }): Prepared => {
    const requests = Array.from({ length: count }, (_, i) => ({
      scope: `scopes/${uid}`,
      context: { instanceUid: instance.uid, resourceUid: randomUUID(), version: 1, additionalData: Buffer.alloc(0) },
      callContext: {
        principal: spiffeIdOf('app'),
        resource: `${name}/secrets/seeded-${i}/versions/1`,
        correlationId: randomUUID(),
        traceId: '',
      },
    }));
    return {
      request: frame(BatchGenerateDeksRequest.encode({ requests }).finish()),
      check: (bytes) =>
        BatchGenerateDeksResponse.decode(bytes).results.forEach(({ outcome }, i) => {
          if (outcome?.$case !== 'response') throw new Error(`no data key was made: ${outcome?.value.message}`);
          const { dek, wrappedDek } = outcome.value;
          made.push({ request: { ...requests[i]!, wrappedDek }, dek });
        }),
    };
  });
  await doAll(world, { ...KEYS, path: EnvelopeServiceService.batchGenerateDeks.path }, calls);
  return made;
};

/** In an order in which neighbours are of different scopes. */
const inTurn = <T>(all: readonly T[], stride = 617) => {
  let i = 0;
  return () => all[(i += stride) % all.length]!;
};

const assertDek = (got: Buffer, { dek }: Wrapped): void => assertThat(got.equals(dek), 'the data key is not the one that was made');

export const unwraps = (deks: readonly Wrapped[]): Operation => {
  const calls = deks.map((wrapped): Prepared => ({
    request: frame(UnwrapDekRequest.encode(wrapped.request).finish()),
    check: (bytes) => assertDek(UnwrapDekResponse.decode(bytes).dek, wrapped),
  }));
  return { ...KEYS, path: EnvelopeServiceService.unwrapDek.path, items: 1, next: inTurn(calls) };
};

export const unwrapBatches = (deks: readonly Wrapped[]): Operation => {
  const next = inTurn(deks);
  const calls = Array.from({ length: deks.length / BATCH }, (): Prepared => {
    const batch = Array.from({ length: BATCH }, next);
    const callContext = { principal: spiffeIdOf('app'), resource: '', correlationId: randomUUID(), traceId: '' };
    return {
      request: frame(BatchUnwrapDeksRequest.encode({ requests: batch.map(({ request }) => ({ ...request, callContext })) }).finish()),
      check: (bytes) => {
        const { results } = BatchUnwrapDeksResponse.decode(bytes);
        assertThat(results.length === BATCH, `${results.length} results for ${BATCH} items`);
        results.forEach(({ outcome }, i) => {
          assertThat(outcome?.$case === 'response', 'an item failed');
          if (outcome?.$case === 'response') assertDek(outcome.value.dek, batch[i]!);
        });
      },
    };
  });
  return { ...KEYS, path: EnvelopeServiceService.batchUnwrapDeks.path, items: BATCH, next: inTurn(calls, 1) };
};
