// A client of the secret store: makes a secret, reads it, watches it, rotates it, and reads what it became. Who it is stands in its
// certificate; nothing else identifies it.
import { crc32c } from '@node-rs/crc32';
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SecretAccessServiceClient, type AccessSecretVersionResponse } from './gen/strongroom/secrets/v1/secret_access_service.ts';
import { SecretServiceClient, type Secret, type SecretPayload, type SecretVersion } from './gen/strongroom/secrets/v1/secret_service.ts';

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
// Both services on one connection.
const access = new SecretAccessServiceClient(address, tls, { ...channel, channelOverride: secrets.getChannel() });

/** A call as a promise. Its deadline is in the service config. */
const call = <Reply>(send: (done: (error: ServiceError | null, reply: Reply) => void) => unknown): Promise<Reply> =>
  new Promise((resolve, reject) => send((error, reply) => (error ? reject(error) : resolve(reply))));

const checksum = (text: string): bigint => BigInt(crc32c(text) >>> 0);
const payloadOf = (text: string): SecretPayload => ({ value: { $case: 'text', value: text }, crc32c: checksum(text) });

const read = async (name: string): Promise<string> => {
  const { payload } = await call<AccessSecretVersionResponse>((done) => access.accessSecretVersion({ name }, done));
  if (payload?.value?.$case !== 'text') throw new Error(`${name} is not a text`);
  if (payload.crc32c !== checksum(payload.value.value)) throw new Error(`${name} was damaged on its way`);
  return payload.value.value;
};

/** Resolves with the number of the next version after `version`. Looks at metadata only, which costs no key and no payload. */
const nextVersion = async (name: string, version: number): Promise<number> => {
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(200)) {
    const { latestVersion } = await call<Secret>((done) => secrets.getSecret({ name }, done));
    if (latestVersion > version) return latestVersion;
  }
  throw new Error(`${name} was not rotated in 30 s`);
};

// A value must come from somewhere that is not a command line: others see that.
const [first, second] = [randomBytes(18).toString('base64url'), randomBytes(18).toString('base64url')];
const secretId = `example-${randomBytes(4).toString('hex')}`;
// The request id makes a retry safe: the same one again answers as before, and changes nothing.
const create = { parent: group, secretId, secret: undefined, payload: payloadOf(first), requestId: randomUUID() };
const secret = await call<Secret>((done) => secrets.createSecret(create, done));
console.log(`created ${secret.name}`);
console.log(`read version 1: ${(await read(`${secret.name}/versions/latest`)) === first ? 'as written' : 'something else'}`);

const rotated = nextVersion(secret.name, 1);
const add = { parent: secret.name, payload: payloadOf(second), etag: secret.etag, requestId: randomUUID() };
const made = await call<SecretVersion>((done) => secrets.addSecretVersion(add, done));
console.log(`added ${made.name}`);
console.log(`watched: version ${await rotated}`);
console.log(`read version 2: ${(await read(`${secret.name}/versions/latest`)) === second ? 'as written' : 'something else'}`);
secrets.close();
