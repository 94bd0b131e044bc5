// Calls another service of ours: mutual TLS with the peer's expected SPIFFE ID, a deadline always, errors rebuilt as they
// were there. A service of ours does not retry: its own caller does, who knows how long he can wait, and retries of retries multiply.
// A command of ours is such a caller, and goes by the service config that all clients are given.
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { createSecureContext, type PeerCertificate } from 'node:tls';
import { AppError, fromServiceError, type Reason } from './errors.ts';
import { identityOf, trustDomainOf, type SpiffeId } from './identity.ts';
import { X509Certificate } from 'node:crypto';
import type { RequestOf, ResponseOf, ServiceDefinition } from './table.ts';
import { secureContext, type Tls } from './tls.ts';

export interface Peer {
  /** `host:port`. */
  address: string;
  /** Who must be there. */
  spiffeId: SpiffeId;
}

export interface CallOptions {
  /** Milliseconds since 1970. */
  deadline: number;
  correlationId?: string;
  /** W3C trace context, as it came from the caller on whose behalf this call is made. */
  traceparent?: string;
}

export interface StreamOptions {
  /** Ends the stream; without it, it lasts as long as the peer lets it. */
  signal: AbortSignal;
}

export type ClientOf<S extends ServiceDefinition> = {
  [M in keyof S]: S[M]['responseStream'] extends true
    ? (request: RequestOf<S[M]>, options: StreamOptions) => AsyncIterable<ResponseOf<S[M]>>
    : (request: RequestOf<S[M]>, options: CallOptions) => Promise<ResponseOf<S[M]>>;
} & AsyncDisposable;

const CHANNEL = {
  'grpc.enable_http_proxy': 0,
  'grpc.enable_channelz': 0,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 5_000,
  // A bundle of 256 entries has 16 MiB and a little at the most.
  'grpc.max_receive_message_length': 17 * 1024 * 1024,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
} as const;
const WITHOUT_RETRIES = JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] });

const connect = ({ address, spiffeId }: Peer, tls: Tls, serviceConfig: string): Client =>
  new Client(
    address,
    credentials.createFromSecureContext(createSecureContext(secureContext(tls.current)), {
      // Replaces the check of the host name: a peer is who its SPIFFE ID says, wherever it runs.
      checkServerIdentity: (_host: string, certificate: PeerCertificate) => {
        const id = identityOf(new X509Certificate(certificate.raw), trustDomainOf(spiffeId));
        return id === spiffeId ? undefined : new Error(`the peer at ${address} is not ${spiffeId}`);
      },
    }),
    // An IP address is no name to ask for in a TLS handshake.
    {
      ...CHANNEL,
      'grpc.service_config': serviceConfig,
      'grpc.ssl_target_name_override': 'localhost',
      'grpc.default_authority': 'localhost',
    },
  );

/** A share of the time left stays with us, to say ourselves that the peer did not answer. */
const cut = (deadline: number): number => {
  const now = Date.now();
  return now + (deadline - now) * 0.8;
};

export const dial = <S extends ServiceDefinition>(
  definition: S,
  peer: Peer,
  tls: Tls,
  fallback: Reason,
  serviceConfig: string = WITHOUT_RETRIES,
): ClientOf<S> => {
  let client = connect(peer, tls, serviceConfig);
  tls.onReload(() => {
    const old = client;
    client = connect(peer, tls, serviceConfig);
    // Calls under way end on the old channel.
    setTimeout(() => old.close(), 30_000).unref();
  });

  const call =
    (method: ServiceDefinition[string]) =>
    (request: unknown, { deadline, correlationId, traceparent }: CallOptions): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const metadata = new Metadata();
        if (correlationId !== undefined) metadata.set('x-correlation-id', correlationId);
        if (traceparent) metadata.set('traceparent', traceparent);
        const settle = (error: ServiceError | null, reply: unknown) => {
          if (!error) resolve(reply);
          else {
            const mapped = fromServiceError(error, fallback);
            const late = mapped.reason === 'DEADLINE_EXCEEDED' || mapped.reason === 'CANCELLED';
            reject(
              late ? new AppError(fallback, 'a service that this call needs did not answer in time; try again', { cause: error }) : mapped,
            );
          }
        };
        const serialize = method.requestSerialize as (value: unknown) => Buffer;
        client.makeUnaryRequest(method.path, serialize, method.responseDeserialize, request, metadata, { deadline: cut(deadline) }, settle);
      });

  /** Who stops to listen, or aborts, ends it. */
  const listen = (method: ServiceDefinition[string]) =>
    async function* (request: unknown, { signal }: StreamOptions): AsyncGenerator {
      const serialize = method.requestSerialize as (value: unknown) => Buffer;
      const messages = client.makeServerStreamRequest(method.path, serialize, method.responseDeserialize, request);
      const leave = (): void => messages.cancel();
      // Its end may come after nobody listens any more.
      messages.on('error', () => undefined);
      signal.addEventListener('abort', leave, { once: true });
      try {
        if (signal.aborted) leave();
        yield* messages as AsyncIterable<unknown>;
      } catch (error) {
        throw fromServiceError(error as ServiceError, fallback);
      } finally {
        signal.removeEventListener('abort', leave);
        leave();
      }
    };

  const methods = Object.fromEntries(
    Object.entries(definition).map(([name, method]) => [name, method.responseStream ? listen(method) : call(method)]),
  );
  const dispose = { [Symbol.asyncDispose]: async () => client.close() };
  // Opened now, so that the first call does not pay for the handshake.
  client.getChannel().getConnectivityState(true);
  return Object.assign(methods, dispose) as unknown as ClientOf<S>;
};
