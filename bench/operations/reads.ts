// AccessSecretVersion: the newest version of 1,000 secrets in 10 groups, 1 KiB each, one after the other.
import {
  AccessSecretVersionRequest,
  AccessSecretVersionResponse,
  SecretAccessServiceService,
} from '../../src/gen/strongroom/secrets/v1/secret_access_service.ts';
import type { SecretPayload } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { frame } from '../grpc.ts';
import { assertPayload, assertThat, type Operation, type Prepared } from '../operation.ts';

/** A version, and what is in it. */
export interface Written {
  secret: string;
  version: number;
  payload: SecretPayload;
}

export const READ = { path: SecretAccessServiceService.accessSecretVersion.path, to: 'store', as: 'app' } as const;

export const readOf = ({ secret, version, payload }: Written, as: string | number = version): Prepared => ({
  request: frame(AccessSecretVersionRequest.encode(AccessSecretVersionRequest.fromPartial({ name: `${secret}/versions/${as}` })).finish()),
  check: (bytes) => {
    const reply = AccessSecretVersionResponse.decode(bytes);
    assertThat(reply.name === `${secret}/versions/${version}`, `the name of the version read is ${reply.name}`);
    assertPayload(reply.payload, payload);
  },
});

/** Neighbours in time are not neighbours in the table. */
const STRIDE = 617;

export const reads = (written: readonly Written[]): Operation => {
  const calls = written.map((each) => readOf(each, 'latest'));
  let i = 0;
  return { ...READ, items: 1, next: () => calls[(i += STRIDE) % calls.length]! };
};
