import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import type { Draws } from '../simulation/draws.ts';

/** A line to the register that is cut before a request arrives, after it was sent, or with its answer; and delays. */
export class ChaosProxy implements AsyncDisposable {
  readonly #server: Server;

  private constructor(ports: { readonly far: number }, draws: Draws) {
    this.#server = createServer((near) => {
      const far = connect(ports.far, '127.0.0.1');
      const cut = (): void => {
        near.destroy();
        far.destroy();
      };
      for (const socket of [near, far]) socket.setNoDelay(true).on('error', cut).on('close', cut);
      const pass = async (from: typeof near, to: typeof near, chunk: Buffer): Promise<void> => {
        const fault = draws.weighted({ none: 88, delay: 6, before: 3, after: 3 });
        if (fault === 'before') return cut();
        if (fault === 'delay') {
          from.pause();
          await new Promise((resolve) => setTimeout(resolve, draws.between(1, 20)));
          from.resume();
        }
        to.write(chunk, () => fault === 'after' && cut());
      };
      near.on('data', (chunk: Buffer) => void pass(near, far, chunk));
      far.on('data', (chunk: Buffer) => void pass(far, near, chunk));
    });
  }

  static async to(port: number, draws: Draws): Promise<ChaosProxy> {
    const proxy = new ChaosProxy({ far: port }, draws);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.unref();
      resolve(undefined);
    });
  }
}
