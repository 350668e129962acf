import { createServer, type Server } from 'node:net';
import { Aedes } from 'aedes';
import { DockError } from '../../protocol/errors.ts';

/** A broker of our own, for stations where none is configured; loopback only, MQTT 3.1.1 only. */
export interface EmbeddedBroker extends AsyncDisposable {
  readonly port: number;
}

/** Errors: `broker.port-in-use`. */
export async function startEmbeddedBroker(port: number): Promise<EmbeddedBroker> {
  const aedes = await Aedes.createBroker({ id: 'dock-agent' });
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    aedes.handle(socket);
  });
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
      await new Promise<void>((resolve) => {
        aedes.close(() => resolve());
      });
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });
}
