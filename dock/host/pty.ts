import { lstatSync, symlinkSync, unlinkSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ReadStream } from 'node:tty';
import { DockError } from '../../protocol/errors.ts';
import type { ByteLink } from '../link.ts';

/** A pseudo-terminal seen from its device side; the host opens `path` like any serial port. */
export interface PtyLink extends ByteLink {
  readonly path: string;
}

/** What the prebuilt addon of node-pty offers besides spawning programs; it has no types of its own. */
interface PtyAddon {
  open(columns: number, rows: number): { master: number; slave: number; pty: string };
}

/**
 * Opens a pseudo-terminal in raw mode. With `linkPath`, a symbolic link there points to it for as long as
 * it lives, as udev's by-path links do for real ports. Disposing of it is pulling the cable.
 */
export function openPty(linkPath?: string): PtyLink {
  const { master, slave, pty } = loadAddon().open(80, 24);
  if (linkPath !== undefined) {
    if (lstatSync(linkPath, { throwIfNoEntry: false })?.isSymbolicLink()) unlinkSync(linkPath);
    symlinkSync(pty, linkPath);
  }
  return new MasterLink(master, slave, pty, linkPath);
}

/** Bytes queued for a reader that does not read, before the link counts as broken. */
const maxQueuedBytes = 8 * 1024 * 1024;
/** The kernel takes a few KiB at a time and says EAGAIN when full; there is no event for room on a master. */
const fullRetryMs = 1;

class MasterLink implements PtyLink {
  readonly name: string;
  readonly path: string;
  readonly closed: Promise<void>;
  readonly #master: number;
  readonly #reader: ReadStream;
  /** Held open so that the terminal outlives the host's open and close; never read from. */
  readonly #slave: ReadStream;
  readonly #linkPath: string | undefined;
  readonly #queue: { readonly bytes: Uint8Array; sent: number; readonly done: () => void }[] = [];
  #queuedBytes = 0;
  #isPumping = false;
  #isClosed = false;

  constructor(master: number, slave: number, path: string, linkPath: string | undefined) {
    this.#master = master;
    this.path = path;
    this.name = linkPath ?? path;
    this.#linkPath = linkPath;
    this.#slave = new ReadStream(slave);
    this.#slave.setRawMode(true);
    this.#reader = new ReadStream(master);
    this.#reader.on('error', () => this.#close());
    this.closed = new Promise((resolve) => this.#reader.once('close', () => resolve()));
  }

  onBytes(receiver: (chunk: Uint8Array) => void): void {
    this.#reader.removeAllListeners('data');
    this.#reader.on('data', receiver);
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed || this.#queuedBytes > maxQueuedBytes) {
      return Promise.reject(new DockError('link.closed', this.name));
    }
    return new Promise((resolve) => {
      this.#queuedBytes += bytes.length;
      this.#queue.push({ bytes, sent: 0, done: resolve });
      if (!this.#isPumping) this.#pump();
    });
  }

  #pump(): void {
    this.#isPumping = true;
    for (let entry = this.#queue[0]; entry && !this.#isClosed; entry = this.#queue[0]) {
      try {
        entry.sent += writeSync(this.#master, entry.bytes, entry.sent);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return this.#close();
        setTimeout(() => this.#pump(), fullRetryMs);
        return;
      }
      if (entry.sent < entry.bytes.length) continue;
      this.#queue.shift();
      this.#queuedBytes -= entry.bytes.length;
      entry.done();
    }
    this.#isPumping = false;
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#linkPath !== undefined) unlinkSync(this.#linkPath);
    this.#reader.destroy();
    this.#slave.destroy();
    for (const entry of this.#queue.splice(0)) entry.done();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    await this.closed;
  }
}

function loadAddon(): PtyAddon {
  const require = createRequire(import.meta.url);
  const name = `@lydell/node-pty-${process.platform}-${process.arch}`;
  try {
    return require(require.resolve(`${name}/pty.node`, { paths: [require.resolve('@lydell/node-pty')] }));
  } catch (cause) {
    throw new DockError('link.open-failed', `no pseudo-terminals on this platform (${name})`, { cause });
  }
}
