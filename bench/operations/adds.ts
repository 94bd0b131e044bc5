// AddSecretVersion: rotates secrets to a new value of 1 KiB, under a request id; no secret twice at the same time.
import { randomUUID } from 'node:crypto';
import { AddSecretVersionRequest, SecretServiceService, SecretVersion } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { frame } from '../grpc.ts';
import { assertThat, newPayload, type Operation } from '../operation.ts';
import { readOf, type Written } from './reads.ts';

/** The last so many are read back. */
const READ_BACK = 100;

export const adds = (secrets: readonly Written[]): Operation => {
  const idle = [...secrets];
  return {
    path: SecretServiceService.addSecretVersion.path,
    to: 'store',
    as: 'app',
    items: 1,
    next: () => {
      const before = idle.shift();
      if (!before) throw new Error('there are fewer secrets to rotate than calls in flight');
      const [parent, payload, version] = [before.secret, newPayload(), before.version + 1];
      return {
        request: frame(
          AddSecretVersionRequest.encode({ parent, payload, etag: '', onlyIfChanged: false, requestId: randomUUID() }).finish(),
        ),
        check: (bytes) => {
          const { name } = SecretVersion.decode(bytes);
          assertThat(name === `${parent}/versions/${version}`, `the version after ${before.version} is ${name}`);
          idle.push({ secret: parent, version, payload });
        },
      };
    },
    readBack: () => idle.slice(-READ_BACK).map((each) => readOf(each, 'latest')),
  };
};
