// What must hold for every refusal, whatever it is for: it names one reason, and tells nothing that a caller must not see.
import { status, type Client, type ServiceError } from '@grpc/grpc-js';
import { expect } from 'vitest';
import { ErrorInfo } from '../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../src/gen/google/rpc/status.ts';
import { Metadata } from '@grpc/grpc-js';
import { decodeRefusal, type Options, type Refusal } from './clients.ts';

/** Signs of SQL, of the database's own messages, of a stack trace, of a path. */
const INNARDS =
  /\bselect\b.+\bfrom\b|insert into|update \w+ set|delete from|violates|relation "|SQLSTATE|syntax error|\.ts:\d+|\bat .+\(.+:\d+:\d+\)|node_modules|\/src\/|ECONN|graphile|postgres/i;

const detailsOf = (error: ServiceError): Buffer => {
  const [raw] = error.metadata?.get('grpc-status-details-bin') ?? [];
  return raw instanceof Buffer ? raw : Buffer.alloc(0);
};

/** All ErrorInfo of an error: there must be one. */
export const errorInfosOf = (error: ServiceError): ErrorInfo[] =>
  Status.decode(detailsOf(error))
    .details.filter(({ typeUrl }) => typeUrl === 'type.googleapis.com/google.rpc.ErrorInfo')
    .map(({ value }) => ErrorInfo.decode(value));

/** A refusal by one of our services: checked for what every one of them must be. `secrets` are values that it must not tell. */
export const properRefusal = (error: ServiceError, secrets: readonly string[] = []): Refusal => {
  const infos = errorInfosOf(error);
  expect(infos, `${status[error.code]} ${error.details}: ErrorInfo`).toHaveLength(1);
  expect(infos[0]).toMatchObject({ domain: 'strongroom', reason: expect.stringMatching(/^[A-Z][A-Z0-9_]+$/) as string });
  const detail = detailsOf(error);
  expect(Status.decode(detail)).toMatchObject({ code: error.code, message: error.details });
  const told = `${error.details}\n${detail.toString('latin1')}`;
  expect(told).not.toMatch(INNARDS);
  for (const secret of secrets) expect(told).not.toContain(secret);
  expect(error.metadata.get('x-request-id')).toHaveLength(1);
  return decodeRefusal(error);
};

const isServiceError = (error: unknown): error is ServiceError => error instanceof Error && 'code' in error && 'details' in error;

export const properRefusalOf = async (call: Promise<unknown>, secrets: readonly string[] = []): Promise<Refusal> => {
  const error = await call.then(
    () => new Error('the call should have been refused, and succeeded'),
    (thrown: unknown) => thrown,
  );
  if (!isServiceError(error)) throw error;
  return properRefusal(error, secrets);
};

/** Sends bytes as they are to a path; resolves with the bytes of the reply, or rejects with the error as it came. */
export const callRaw = (
  client: Client,
  path: string,
  bytes: Uint8Array,
  { timeoutMs = 10_000, metadata = {} }: Options = {},
): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const headers = new Metadata();
    for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
    const asIs = (value: Buffer): Buffer => value;
    client.makeUnaryRequest(path, asIs, asIs, Buffer.from(bytes), headers, { deadline: Date.now() + timeoutMs }, (error, reply) =>
      error ? reject(error) : resolve(reply ?? Buffer.alloc(0)),
    );
  });
