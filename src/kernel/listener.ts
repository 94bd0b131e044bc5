// The mutual TLS listener: TLS 1.3 only, client certificate required, identity resolved once per connection. What passes
// is handed to the gRPC server as a connection that is already secure.
import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { AppError } from './errors.ts';
import { identityOf, type SpiffeId } from './identity.ts';
import type { Log } from './log.ts';
import { metrics } from './metrics.ts';
import { secureContext, type Tls } from './tls.ts';

export interface Connection {
  readonly identity: SpiffeId | AppError;
  readonly address: string;
  /** SHA-256 of the client certificate, in hexadecimal digits. */
  readonly credentialId: string;
  /** When the client certificate ends, milliseconds since 1970; a call after that is refused. */
  readonly validUntil: number;
  /** When it was opened, milliseconds since 1970. */
  readonly since: number;
}

export interface Listener {
  readonly port: number;
  /** By `address:port` of the peer, which is what a call knows of its connection. */
  connection(peer: string): Connection | undefined;
  /** Stops accepting. Resolves when no connection is left; what is left after `drainMs` is cut. */
  close(drainMs: number): Promise<void>;
}

export interface ListenerOptions {
  listen: { host: string; port: number };
  trustDomain: string;
  tls: Tls;
  log: Log;
  accept: (socket: TLSSocket) => void;
}

const MAX_CONNECTIONS = 10_000;

export const openListener = async ({ listen, trustDomain, tls, log, accept }: ListenerOptions): Promise<Listener> => {
  const connections = new Map<string, Connection>();
  const options = { requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'], handshakeTimeout: 5_000 };
  const server = createServer({ ...options, ...secureContext(tls.current) }, (socket) => {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    socket.on('error', (error) => log.debug({ address: peer, error: error.message }, 'connection lost'));
    if (socket.alpnProtocol !== 'h2') {
      socket.destroy();
      return;
    }
    const certificate = socket.getPeerX509Certificate();
    const identity = identityOf(certificate, trustDomain);
    if (identity instanceof AppError) log.warn({ address: peer, error: identity.message }, 'a peer has no usable identity');
    const connection = {
      identity,
      address: socket.remoteAddress ?? '',
      credentialId: certificate?.fingerprint256.replaceAll(':', '').toLowerCase() ?? '',
      validUntil: certificate?.validToDate.getTime() ?? 0,
      since: Date.now(),
    };
    connections.set(peer, connection);
    // A new connection may come from the same port before the end of the old one is seen.
    socket.once('close', () => connections.get(peer) === connection && connections.delete(peer));
    accept(socket);
  });
  server.maxConnections = MAX_CONNECTIONS;
  // Also those whose handshake is not over.
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', (error, socket) => {
    metrics.handshakeFailures.inc();
    log.warn({ address: socket.remoteAddress ?? '', error: error.message }, 'a connection failed mutual TLS');
    // Node leaves a connection open whose handshake has timed out.
    socket.destroy();
  });
  tls.onReload(() => server.setSecureContext(secureContext(tls.current)));

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(`port ${listen.port} on ${listen.host} is taken; stop what uses it or choose another`)
          : error,
      ),
    );
    server.listen(listen.port, listen.host, resolve);
  });
  server.on('error', (error) => log.warn({ error: error.message }, 'a connection could not be accepted'));
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : listen.port,
    connection: (peer) => connections.get(peer),
    close: (drainMs) =>
      new Promise((resolve) => {
        const cut = setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, drainMs);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
      }),
  };
};
