// A client of the secret store: makes a secret, reads it, watches it, rotates it, and reads what it became. Who it is stands in its
// certificate; nothing else identifies it.
import { crc32c } from '@node-rs/crc32';
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  AccessSecretVersionRequest,
  SecretAccessServiceClient,
  type AccessSecretVersionResponse,
} from './gen/strongroom/secrets/v1/secret_access_service.ts';
import {
  AddSecretVersionRequest,
  CreateSecretRequest,
  SecretServiceClient,
  type Secret,
  type SecretPayload,
  type SecretVersion,
} from './gen/strongroom/secrets/v1/secret_service.ts';

import {
  SecretEvent_Type,
  SecretWatchServiceClient,
  WatchSecretsRequest,
  type WatchSecretsResponse,
} from './gen/strongroom/secrets/v1/secret_watch_service.ts';

const setting = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
};
const [address, group] = [setting('STRONGROOM_ADDRESS'), setting('STRONGROOM_GROUP')];
const [ca, cert, key] = [setting('STRONGROOM_CA'), setting('STRONGROOM_CERT'), setting('STRONGROOM_KEY')].map((file) => readFileSync(file));

// Deadlines and retries of every method, as the server's authors publish them.
const serviceConfig = readFileSync(new URL('../../docs/client/service-config.json', import.meta.url), 'utf8');
const channel = { 'grpc.service_config': serviceConfig };
const tls = credentials.createSsl(ca, key, cert);
const secrets = new SecretServiceClient(address, tls, channel);
// All services on one connection.
const access = new SecretAccessServiceClient(address, tls, { ...channel, channelOverride: secrets.getChannel() });
const watching = new SecretWatchServiceClient(address, tls, { ...channel, channelOverride: secrets.getChannel() });

/** A call as a promise. Its deadline is in the service config. */
const call = <Reply>(send: (done: (error: ServiceError | null, reply: Reply) => void) => unknown): Promise<Reply> =>
  new Promise((resolve, reject) => send((error, reply) => (error ? reject(error) : resolve(reply))));

const checksum = (text: string): bigint => BigInt(crc32c(text) >>> 0);
const payloadOf = (text: string): SecretPayload => ({ value: { $case: 'text', value: text }, crc32c: checksum(text) });

const read = async (name: string): Promise<string> => {
  const { payload } = await call<AccessSecretVersionResponse>((done) =>
    access.accessSecretVersion(AccessSecretVersionRequest.fromPartial({ name }), done),
  );
  if (payload?.value?.$case !== 'text') throw new Error(`${name} is not a text`);
  if (payload.crc32c !== checksum(payload.value.value)) throw new Error(`${name} was damaged on its way`);
  return payload.value.value;
};

/** What becomes of the secret. The first message comes at once: from then on nothing is missed. */
async function* watch(secretId: string): AsyncGenerator<WatchSecretsResponse> {
  const stream = watching.watchSecrets(WatchSecretsRequest.fromPartial({ parent: group, secretIds: [secretId] }));
  // Who stops to listen ends it, and need not hear how it ended.
  stream.on('error', () => undefined);
  try {
    yield* stream as AsyncIterable<WatchSecretsResponse>;
  } finally {
    stream.cancel();
  }
}

/** The number of the version that it was rotated to. Who goes on watching opens the stream again, with `resumeToken`, when it ends. */
const rotatedTo = async (messages: AsyncGenerator<WatchSecretsResponse>): Promise<number> => {
  for await (const { events } of messages) {
    const rotated = events.find(({ type }) => type === SecretEvent_Type.ROTATED);
    if (rotated) return rotated.version;
  }
  throw new Error('the stream has ended');
};

// A value must come from somewhere that is not a command line: others see that.
const [first, second] = [randomBytes(18).toString('base64url'), randomBytes(18).toString('base64url')];
const secretId = `example-${randomBytes(4).toString('hex')}`;
// The request id makes a retry safe: the same one again answers as before, and changes nothing.
const create = CreateSecretRequest.fromPartial({ parent: group, secretId, payload: payloadOf(first), requestId: randomUUID() });
const secret = await call<Secret>((done) => secrets.createSecret(create, done));
console.log(`created ${secret.name}`);
console.log(`read version 1: ${(await read(`${secret.name}/versions/latest`)) === first ? 'as written' : 'something else'}`);

const messages = watch(secretId);
await messages.next();
const change = { parent: secret.name, payload: payloadOf(second), etag: secret.etag, requestId: randomUUID() };
const add = AddSecretVersionRequest.fromPartial(change);
const made = await call<SecretVersion>((done) => secrets.addSecretVersion(add, done));
console.log(`added ${made.name}`);
console.log(`watched: version ${await rotatedTo(messages)}`);
console.log(`read version 2: ${(await read(`${secret.name}/versions/latest`)) === second ? 'as written' : 'something else'}`);
secrets.close();
