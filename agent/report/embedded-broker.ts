import { createServer, type Server, type Socket } from 'node:net';
import { Aedes } from 'aedes';
import { DockError } from '../../protocol/errors.ts';
import './mqtt-packet-memory.ts';

/** A broker of our own, for stations where none is configured; loopback only, MQTT 3.1.1 only. */
export interface EmbeddedBroker extends AsyncDisposable {
  readonly port: number;
}

const maxConnections = 64;

/** Errors: `broker.port-in-use`. */
export async function startEmbeddedBroker(port: number): Promise<EmbeddedBroker> {
  const aedes = await Aedes.createBroker({ id: 'dock-agent' });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.setNoDelay(true);
    aedes.handle(socket);
  });
  server.maxConnections = maxConnections;
  try {
    await listen(server, port);
  } catch (cause) {
    aedes.close();
    throw new DockError('broker.port-in-use', `127.0.0.1:${port}`, { cause });
  }
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : port,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      await new Promise<void>((resolve) => {
        aedes.close(() => resolve());
      });
      // The broker knows only clients that said CONNECT.
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // Stays for good: a failed accept later on concerns one client, not the agent.
    server.on('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });
}
