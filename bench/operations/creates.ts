// CreateSecret: a new secret with a first version of 1 KiB, under a request id.
import { randomUUID } from 'node:crypto';
import { CreateSecretRequest, Secret, SecretServiceService } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { frame } from '../grpc.ts';
import { assertThat, newPayload, type Operation, type Prepared, type World } from '../operation.ts';
import { readOf, type Written } from './reads.ts';

export const CREATE = { path: SecretServiceService.createSecret.path, to: 'store', as: 'app' } as const;

export const createOf = (parent: string, secretId: string): Prepared & { written: Written } => {
  const [secret, payload] = [`${parent}/secrets/${secretId}`, newPayload()];
  const request = CreateSecretRequest.encode({ parent, secretId, secret: undefined, payload, requestId: randomUUID() }).finish();
  return {
    written: { secret, version: 1, payload },
    request: frame(request),
    check: (bytes) => {
      const { name, latestVersion } = Secret.decode(bytes);
      assertThat(name === secret && latestVersion === 1, `what was created is ${name} with version ${latestVersion}`);
    },
  };
};

/** The last so many are read back. */
const READ_BACK = 100;

export const creates = ({ groups }: World): Operation => {
  let made = 0;
  const written: Written[] = [];
  return {
    ...CREATE,
    items: 1,
    next: () => {
      const created = createOf(groups[made % groups.length]!.name, `created-${made++}`);
      const check = (bytes: Buffer): void => {
        created.check(bytes);
        if (written.push(created.written) > READ_BACK) written.shift();
      };
      return { request: created.request, check };
    },
    readBack: () => written.map((each) => readOf(each)),
  };
};
