import { createConnection, type Socket } from 'node:net';
import { DockError } from '../../protocol/errors.ts';
import { withDeadline, type Clock } from '../clock.ts';

/** A disk of a bay: its port, and the sequence number that the kernel gave to this attach. */
export interface BayDisk {
  readonly portPath: string;
  readonly diskSequence: number;
}

export interface MountedVolume {
  readonly folder: string;
  readonly fileSystem: 'vfat' | 'exfat';
  readonly isDirty: boolean;
  /** Kernel name of the volume, such as `sda1`. */
  readonly device: string;
  readonly logicalUnit: number;
}

/** A volume that is writable until it is closed, this process dies, or a minute has passed. */
export interface WritableWindow {
  readonly volume: MountedVolume;
  /** Read-only again, mounted afresh. Rejects when that is not certain; then nothing is mounted, or read-only. */
  close(): Promise<MountedVolume>;
}

/** Longer than all steps of the helper together, which have deadlines of their own. */
const answerTimeoutMs = 150_000;
const longestAnswer = 1000;
const { signal: neverAborted } = new AbortController();

/**
 * Asks the privileged helper (dock/host/dock-helper.sh, which states the protocol) over its socket, one connection
 * for each request. Errors: `mount.helper-missing`, `mount.refused`, `mount.no-medium`, `removal.refused` for a
 * dirty volume, `link.closed` when the device is gone; the signal's reason when it aborts. What a request that was
 * given up has mounted meanwhile is read-only, and goes with the next mount.
 */
export class PrivilegedHelper {
  readonly #clock: Clock;
  readonly #socketPath: string;

  constructor(clock: Clock, { socketPath = '/run/dock-helper.sock' } = {}) {
    this.#clock = clock;
    this.#socketPath = socketPath;
  }

  /** Mounts read-only; a mount that is left over is taken down first. */
  async mount({ portPath, diskSequence }: BayDisk, signal = neverAborted): Promise<MountedVolume> {
    return mountedVolume(await this.#ask(`mount ${portPath} ${diskSequence}`, signal));
  }

  /** Nothing of the volume may be open. `signal` is for opening the window. */
  async writable({ portPath, diskSequence }: BayDisk, signal = neverAborted): Promise<WritableWindow> {
    const connection = await this.#connect(signal);
    try {
      const request = `writable ${portPath} ${diskSequence}`;
      const volume = mountedVolume(await this.#answer(connection, request, signal));
      return {
        volume,
        close: async () => {
          try {
            return mountedVolume(await this.#answer(connection, 'close', neverAborted));
          } finally {
            connection.destroy();
          }
        },
      };
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  /** All units of a port, or one; also when the device is gone. */
  async unmount(portPath: string, logicalUnit?: number, signal = neverAborted): Promise<void> {
    await this.#ask(`unmount ${portPath}${logicalUnit === undefined ? '' : ` ${logicalUnit}`}`, signal);
  }

  /** Switches the port off for two seconds. `mount.refused` where the hub has no switch for it. */
  async powerCycle(portPath: string, signal = neverAborted): Promise<void> {
    await this.#ask(`power-cycle ${portPath}`, signal);
  }

  /** Raises the memory that the kernel gives to USB transfers; never lowers it. The limit that holds then, in MiB. */
  async raiseUsbfsMemory(mib: number, signal = neverAborted): Promise<number> {
    return Number(field(await this.#ask(`usbfs-memory ${mib}`, signal), 'mib', wholeNumber));
  }

  async #ask(request: string, signal: AbortSignal): Promise<Answer> {
    const connection = await this.#connect(signal);
    try {
      return await this.#answer(connection, request, signal);
    } finally {
      connection.destroy();
    }
  }

  async #answer(connection: LineConnection, request: string, signal: AbortSignal): Promise<Answer> {
    const line = await withDeadline(this.#clock, { ms: answerTimeoutMs, signal, what: request }, (late) =>
      connection.exchange(request, late),
    ).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new DockError('mount.helper-missing', request, { cause: error });
    });
    return parseAnswer(request, line);
  }

  async #connect(signal: AbortSignal): Promise<LineConnection> {
    signal.throwIfAborted();
    const connection = new LineConnection(createConnection(this.#socketPath));
    const hangUp = (): void => connection.destroy();
    signal.addEventListener('abort', hangUp, { once: true });
    try {
      await connection.opened;
      signal.throwIfAborted();
      return connection;
    } catch (error) {
      connection.destroy();
      signal.throwIfAborted();
      throw new DockError('mount.helper-missing', this.#socketPath, { cause: error });
    } finally {
      signal.removeEventListener('abort', hangUp);
    }
  }
}

/** Lines of text to and fro on a socket, one at a time. */
class LineConnection {
  readonly opened: Promise<void>;
  readonly #socket: Socket;
  readonly #lines: string[] = [];
  #received = '';
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.opened = promise;
    socket.setEncoding('utf8');
    socket.on('connect', resolve);
    socket.on('error', (error) => {
      reject(error);
      this.#end(error);
    });
    socket.on('close', () => {
      const error = new Error('the helper hung up');
      reject(error);
      this.#end(error);
    });
    socket.on('data', (text: string) => this.#receive(text));
  }

  /** Sends a line and waits for the next one. */
  async exchange(line: string, signal: AbortSignal): Promise<string> {
    if (!this.#failure) this.#socket.write(`${line}\n`);
    for (;;) {
      const answer = this.#lines.shift();
      if (answer !== undefined) return answer;
      if (this.#failure) throw this.#failure;
      signal.throwIfAborted();
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = (): void => resolve();
      this.#wake = wake;
      signal.addEventListener('abort', wake, { once: true });
      await promise;
      signal.removeEventListener('abort', wake);
    }
  }

  /** Hangs up, which also ends a window. */
  destroy(): void {
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#received += text;
    if (this.#received.length > longestAnswer) this.#end(new Error('an endless answer'));
    const lines = this.#received.split('\n');
    this.#received = lines.pop() ?? '';
    this.#lines.push(...lines);
    this.#wake();
  }

  #end(failure: Error): void {
    this.#failure ??= failure;
    this.#socket.destroy();
    this.#wake();
  }
}

type Answer = ReadonlyMap<string, string>;

/** `ok key=value …`, `refused CODE TEXT`, `failed CODE TEXT`. */
function parseAnswer(request: string, line: string): Answer {
  const [kind, ...words] = line.split(' ');
  if (kind === 'ok') {
    return new Map(words.map((word) => [word.replace(/=.*/, ''), word.replace(/^[^=]*=/, '')]));
  }
  const [code, ...text] = words;
  const detail = `${request}: ${text.join(' ') || line}`;
  if (kind !== 'refused' && kind !== 'failed') {
    throw new DockError('mount.helper-missing', `${request}: not an answer`);
  }
  switch (code) {
    case 'no-medium':
      throw new DockError('mount.no-medium', detail);
    case 'no-device':
    case 'stale':
    case 'gone':
      throw new DockError('link.closed', detail);
    case 'dirty':
      throw new DockError('removal.refused', detail);
    default:
      throw new DockError('mount.refused', detail);
  }
}

const wholeNumber = /^\d{1,9}$/;
const absolutePath = /^\/[^\0]+$/;

function field(answer: Answer, key: string, form = /^/): string {
  const value = answer.get(key);
  if (value === undefined || !form.test(value))
    throw new DockError('mount.helper-missing', `an answer without ${key}`);
  return value;
}

function mountedVolume(answer: Answer): MountedVolume {
  const fileSystem = field(answer, 'type');
  if (fileSystem !== 'vfat' && fileSystem !== 'exfat') {
    throw new DockError('mount.helper-missing', `an answer of type ${fileSystem}`);
  }
  return {
    folder: field(answer, 'folder', absolutePath),
    fileSystem,
    isDirty: field(answer, 'dirty') !== '0',
    device: field(answer, 'device'),
    logicalUnit: Number(field(answer, 'lun', wholeNumber)),
  };
}
