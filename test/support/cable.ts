// A cable to PostgreSQL that can be cut: a relay on the loopback that stops forwarding, without closing anything, as a network
// does; in both directions, or in that of the answers. And it can be torn off, so that both ends notice.
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

export interface Cable extends AsyncDisposable {
  readonly port: number;
  cut(): void;
  /** What is asked still arrives. */
  deafen(): void;
  mend(): void;
  /** Ends all connections. */
  tear(): void;
}

export const openCable = async (to: number): Promise<Cable> => {
  const sockets = new Set<Socket>();
  const answering = new Set<Socket>();
  let whole = true;
  const join = (from: Socket, other: Socket): void => {
    sockets.add(from);
    from.pipe(other).on('error', () => from.destroy());
    from.on('error', () => other.destroy()).on('close', () => sockets.delete(from));
    if (!whole) from.pause();
  };
  const server = createServer((socket) => {
    const behind = connect(to, '127.0.0.1');
    join(socket, behind);
    join(behind, socket);
    answering.add(behind.on('close', () => answering.delete(behind)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      whole = false;
      for (const socket of sockets) socket.pause();
    },
    deafen: () => {
      for (const socket of answering) socket.pause();
    },
    tear: () => {
      for (const socket of sockets) socket.destroy();
    },
    mend: () => {
      whole = true;
      for (const socket of sockets) socket.resume();
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
};
