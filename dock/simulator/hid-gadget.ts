import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { DockError } from '../../protocol/errors.ts';
import type { HidPipe } from '../camera/hid-pipe.ts';
import type { Clock } from '../clock.ts';

/**
 * The device's side of a HID function of the Linux gadget framework, such as `/dev/hidg0`. Lives until it is disposed
 * of: a cable pulled and plugged again does not end it, as it does not end a camera. Errors: `link.open-failed`.
 */
export async function openHidGadget(
  devNode: string,
  clock: Clock,
  { reportBytes = 64 } = {},
): Promise<HidPipe> {
  await access(devNode, constants.R_OK | constants.W_OK).catch((cause: unknown) => {
    throw new DockError('link.open-failed', devNode, { cause });
  });
  return new GadgetPipe(devNode, clock, reportBytes);
}

/** A host that does not read gets no more than so much of what it missed. */
const maxQueuedBytes = 256 * 1024;
const reopenMs = 100;

/**
 * Helper processes read and write the node: both calls block for as long as the host says nothing, and a blocked call
 * keeps Node from ending. f_hid gives one report for each read, and takes one from each write whatever is offered, so
 * that cat suffices. Pulling the cable ends a write with ESHUTDOWN, and with it the helper; another takes its place.
 */
class GadgetPipe implements HidPipe {
  readonly name: string;
  readonly reportBytes: number;
  readonly reportIntervalMs = 1;
  readonly closed: Promise<void>;
  readonly #stop = new AbortController();
  #receiver: ((report: Uint8Array) => void) | undefined;
  #writer: ChildProcess | undefined;

  constructor(devNode: string, clock: Clock, reportBytes: number) {
    this.name = devNode;
    this.reportBytes = reportBytes;
    const { signal } = this.#stop;
    const running = [() => this.#read(), () => this.#write()].map(async (helper) => {
      while (!signal.aborted) {
        await ended(helper(), signal);
        await clock.sleep(reopenMs, signal).catch(() => undefined);
      }
    });
    this.closed = Promise.all(running).then(() => undefined);
  }

  #read(): ChildProcess {
    const reader = spawn('cat', [this.name], { stdio: ['ignore', 'pipe', 'ignore'] });
    const { reportBytes } = this;
    let part: Uint8Array = new Uint8Array();
    reader.stdout.on('data', (chunk: Uint8Array) => {
      const bytes = Buffer.concat([part, chunk]);
      const whole = bytes.length - (bytes.length % reportBytes);
      for (let at = 0; at < whole; at += reportBytes) this.#receiver?.(bytes.subarray(at, at + reportBytes));
      part = bytes.subarray(whole);
    });
    return reader;
  }

  /** Opens the node for appending: nothing must be made in its place while it is gone. */
  #write(): ChildProcess {
    const writer = spawn('dd', ['conv=nocreat,notrunc', 'status=none', 'bs=64k', `of=${this.name}`], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    writer.stdin.on('error', () => undefined); // shows in its end
    this.#writer = writer;
    return writer;
  }

  onReport(receiver: (report: Uint8Array) => void): void {
    this.#receiver = receiver;
  }

  async write(report: Uint8Array): Promise<void> {
    if (this.#stop.signal.aborted) throw new DockError('link.closed', this.name);
    const input = this.#writer?.stdin;
    // Lost, like any report that nobody reads.
    if (!input?.writable || input.writableLength > maxQueuedBytes) return;
    await new Promise<void>((resolve) => void input.write(report, () => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.closed;
  }
}

/** Waits for the end of a helper; ends it when told to. */
async function ended(helper: ChildProcess, signal: AbortSignal): Promise<void> {
  const kill = (): void => void helper.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  await once(helper, 'exit').catch(() => undefined);
  signal.removeEventListener('abort', kill);
}
