import { once } from 'node:events';
import { createServer } from 'node:net';

/** Of loopback, for an agent that takes none above 32767 and cannot look for one itself. */
export async function freePort(from = 20_000 + (process.pid % 10_000)): Promise<number> {
  for (let port = from; port < 32_000; port++) {
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]).catch(() => false);
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error('no free port');
}
