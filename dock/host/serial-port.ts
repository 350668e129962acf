import { access } from 'node:fs/promises';
import { SerialPort } from 'serialport';
import { DockError } from '../../protocol/errors.ts';
import type { ByteLink } from '../link.ts';

/** Line settings of a serial port; bits per second, the rest as on a data sheet. */
export interface SerialLine {
  readonly baudRate: number;
  readonly dataBits: 5 | 6 | 7 | 8;
  readonly stopBits: 1 | 2;
  readonly parity: 'none' | 'even' | 'odd';
  readonly rtscts: boolean;
}

export const defaultSerialLine: SerialLine = {
  baudRate: 115_200,
  dataBits: 8,
  stopBits: 1,
  parity: 'none',
  rtscts: false,
};

/**
 * How often a port is looked for while it is open. A terminal that was hung up reads as an endless run of
 * empty reads in the binding (13.0), so the vanished path is what tells.
 */
const presencePollMs = 500;

/** Opens a serial port, exclusively. Errors: `link.open-failed`. */
export async function openSerialPort(path: string, line: SerialLine): Promise<ByteLink> {
  const port = new SerialPort({ path, ...line, autoOpen: false });
  await new Promise<void>((resolve, reject) => {
    port.open((error) =>
      error
        ? reject(new DockError('link.open-failed', `${path}: ${error.message}`, { cause: error }))
        : resolve(),
    );
  });
  wakeLoopOnReadiness(port);
  return new SerialLink(port);
}

/**
 * The poller of bindings-cpp 13.0 calls back into JavaScript without draining promise callbacks, which its
 * own reader waits on: under Node 26 a chunk then lies unread until some unrelated timer fires. An immediate
 * makes the loop turn at once. Seen with strace: EPOLLIN at once, read(2) up to half a second later. Known as
 * serialport/bindings-cpp pull request 239, node-serialport issue 3148.
 */
function wakeLoopOnReadiness(port: SerialPort): void {
  const poller = (port.port as { poller?: NodeJS.EventEmitter } | undefined)?.poller;
  for (const event of ['readable', 'writable', 'disconnect']) {
    poller?.on(event, () => setImmediate(() => undefined));
  }
}

class SerialLink implements ByteLink {
  readonly name: string;
  readonly closed: Promise<void>;
  readonly #port: SerialPort;

  constructor(port: SerialPort) {
    this.#port = port;
    this.name = port.path;
    const watch = setInterval(() => {
      access(port.path).catch(() => this.#close());
    }, presencePollMs);
    this.closed = new Promise((resolve) => {
      port.once('close', () => {
        clearInterval(watch);
        resolve();
      });
    });
    // A read or write that failed: the stream position is unknown, so the link is thrown away.
    port.on('error', () => void this.#close());
  }

  onBytes(receiver: (chunk: Uint8Array) => void): void {
    this.#port.removeAllListeners('data');
    this.#port.on('data', receiver);
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#port.isOpen) {
        reject(new DockError('link.closed', this.name));
        return;
      }
      this.#port.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), (error) =>
        error ? reject(new DockError('link.closed', this.name, { cause: error })) : resolve(),
      );
    });
  }

  #close(): Promise<void> {
    if (this.#port.isOpen) this.#port.close(() => undefined);
    return this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
