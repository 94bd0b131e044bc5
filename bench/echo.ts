// The service of the floor: a payload goes in and comes out again.
import { SecretPayload } from '../src/gen/strongroom/secrets/v1/secret_service.ts';

const serialize = (value: SecretPayload): Buffer => Buffer.from(SecretPayload.encode(value).finish());
const deserialize = (bytes: Buffer): SecretPayload => SecretPayload.decode(bytes);

export const ECHO = {
  echo: {
    path: '/strongroom.bench.EchoService/Echo',
    requestStream: false,
    responseStream: false,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  },
} as const;
