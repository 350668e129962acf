import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawn } from '@lydell/node-pty';
import { PacedQueue } from './paced-line.ts';

export function hasZmodem(): boolean {
  return ['sz', 'rz'].every((program) => spawnSync(program, ['--version']).error === undefined);
}

/**
 * What a serial driver holds for a sender before it makes it wait. Without a limit `sz` believes that all has been
 * sent, and runs into its own time-outs while the line is still busy.
 */
const driverBufferBytes = 4096;

/**
 * Sends `content` with `sz` to `rz`, each on a terminal of its own, over a rate-limited line between them. The
 * seconds from the first byte on the line until `rz` says that it is done.
 */
export async function zmodemSeconds(
  content: Uint8Array,
  { bytesPerSecond, folder, signal }: { bytesPerSecond: number; folder: string; signal: AbortSignal },
): Promise<number> {
  const inbox = join(folder, 'inbox');
  mkdirSync(inbox, { recursive: true });
  writeFileSync(join(folder, 'zmodem.bin'), content);
  using sender = new TerminalProgram('exec sz --binary --quiet ../zmodem.bin 2>/dev/null', inbox);
  using receiver = new TerminalProgram('exec rz --binary --quiet --overwrite 2>/dev/null', inbox);
  const stop = (): void => [sender, receiver].forEach((program) => program[Symbol.dispose]());
  signal.addEventListener('abort', stop, { once: true });

  const forward = pacedRoute(sender, receiver, bytesPerSecond);
  const back = pacedRoute(receiver, sender, bytesPerSecond);
  // Both speak first, once their terminal is raw; what reached them earlier would be echoed.
  await Promise.all([forward.firstBytes, back.firstBytes]);
  const startedMs = performance.now();
  forward.open();
  back.open();
  const senderCode = await sender.ended;
  // `sz` takes leave with "OO" and flushes its terminal at once (TCIOFLUSH after tcdrain), which on a pseudo-terminal
  // may throw that away. `rz` then waits for it three times ten seconds.
  if (senderCode === 0) forward.append(Buffer.from('OO'));
  const receiverCode = await receiver.ended;
  const seconds = (back.lastBytesMs() - startedMs) / 1000;
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  if (senderCode !== 0 || receiverCode !== 0)
    throw new Error(`sz ended with ${senderCode}, rz with ${receiverCode}`);
  if (!Buffer.from(content).equals(readFileSync(join(inbox, 'zmodem.bin')))) {
    throw new Error('ZMODEM delivered other bytes');
  }
  return seconds;
}

interface PacedRoute {
  readonly firstBytes: Promise<void>;
  lastBytesMs(): number;
  /** Until then it holds what it gets. */
  open(): void;
  append(bytes: Uint8Array): void;
}

/** One direction between two programs. */
function pacedRoute(from: TerminalProgram, to: TerminalProgram, bytesPerSecond: number): PacedRoute {
  const first = Promise.withResolvers<void>();
  const early: Uint8Array[] = [];
  let isOpen = false;
  let lastBytesMs = 0;
  const queue = new PacedQueue(bytesPerSecond, (bytes) => {
    to.write(bytes);
    if (queue.queuedBytes < driverBufferBytes / 2) from.resume();
  });
  from.onBytes((chunk) => {
    first.resolve();
    lastBytesMs = performance.now();
    if (isOpen) queue.push(chunk);
    else early.push(chunk);
    if (queue.queuedBytes >= driverBufferBytes / 2) from.pause();
  });
  void from.ended.then(() => first.reject(new Error('sz or rz ended without a word')));
  first.promise.catch(() => undefined); // seen when it is waited for
  return {
    firstBytes: first.promise,
    lastBytesMs: () => lastBytesMs,
    open: () => {
      isOpen = true;
      for (const chunk of early.splice(0)) queue.push(chunk);
    },
    append: (bytes) => queue.push(bytes),
  };
}

/** A program on a pseudo-terminal that can be made to wait. */
class TerminalProgram implements Disposable {
  /** Its exit code. */
  readonly ended: Promise<number>;
  #isRunning = true;
  readonly #terminal: ReturnType<typeof spawn>;

  constructor(command: string, cwd: string) {
    this.#terminal = spawn('/bin/sh', ['-c', command], { cwd, encoding: null });
    this.ended = new Promise((resolve) => {
      this.#terminal.onExit(({ exitCode }) => {
        this.#isRunning = false;
        resolve(exitCode);
      });
    });
  }

  // With `encoding: null` the library deals in Buffers, which its types do not say.
  onBytes(receiver: (chunk: Uint8Array) => void): void {
    this.#terminal.onData((data) => receiver(data as unknown as Buffer));
  }

  write(bytes: Uint8Array): void {
    if (this.#isRunning) this.#terminal.write(Buffer.from(bytes) as unknown as string);
  }

  pause(): void {
    this.#terminal.pause();
  }

  resume(): void {
    this.#terminal.resume();
  }

  [Symbol.dispose](): void {
    if (this.#isRunning) this.#terminal.kill('SIGKILL');
  }
}
