// What costs less than an access each: the same version asked for again by a caller who has it, and 100 in one call.
import {
  AccessSecretVersionRequest,
  AccessSecretVersionResponse,
  BatchAccessRequest,
  BatchAccessResponse,
  SecretAccessServiceService,
} from '../../src/gen/strongroom/secrets/v1/secret_access_service.ts';
import { frame } from '../grpc.ts';
import { assertPayload, assertThat, doAll, type Operation, type Prepared, type World } from '../operation.ts';
import { READ, readOf, type Written } from './reads.ts';

const BATCH = 100;

/** Neighbours in time are not neighbours in the table. */
const STRIDE = 617;

const latestOf = ({ secret }: Written, ifNoneMatch = '') =>
  AccessSecretVersionRequest.fromPartial({ name: `${secret}/versions/latest`, ifNoneMatch });

/** Each is read once, for its etag. */
export const notModified = async (world: World, written: readonly Written[]): Promise<Operation> => {
  const calls: Prepared[] = [];
  const first = written.map((each): Prepared => {
    const { request, check } = readOf(each, 'latest');
    return {
      request,
      check: (bytes) => {
        check(bytes);
        const { etag } = AccessSecretVersionResponse.decode(bytes);
        calls.push({
          request: frame(AccessSecretVersionRequest.encode(latestOf(each, etag)).finish()),
          check: (again) => {
            const reply = AccessSecretVersionResponse.decode(again);
            assertThat(
              reply.notModified && reply.payload === undefined && reply.etag === etag,
              'a payload that the caller has is not known',
            );
          },
        });
      },
    };
  });
  await doAll(world, READ, first);
  let i = 0;
  return { ...READ, items: 1, next: () => calls[(i += STRIDE) % calls.length]! };
};

export const batchAccesses = (written: readonly Written[]): Operation => {
  let i = 0;
  const next = (): Prepared => {
    const batch = Array.from({ length: BATCH }, () => written[(i += STRIDE) % written.length]!);
    return {
      request: frame(BatchAccessRequest.encode({ requests: batch.map((each) => latestOf(each)) }).finish()),
      check: (bytes) =>
        BatchAccessResponse.decode(bytes).results.forEach(({ outcome }, at) => {
          const { secret, version, payload } = batch[at]!;
          if (outcome?.$case !== 'response') throw new Error(`${secret} was not read: ${outcome?.value.message}`);
          assertThat(outcome.value.name === `${secret}/versions/${version}`, `the name of the version read is ${outcome.value.name}`);
          assertPayload(outcome.value.payload, payload);
        }),
    };
  };
  return { path: SecretAccessServiceService.batchAccess.path, to: 'store', as: 'app', items: BATCH, next };
};
