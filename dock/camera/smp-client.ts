import { DockError, hasCode } from '../../protocol/errors.ts';
import {
  encodeRequest,
  isAnswerTo,
  parseAnswer,
  type AnySmpCommand,
  type RequestOf,
  type ResponseOf,
  type SmpAnswer,
} from '../../protocol/smp/command.ts';
import { failureError, isUnsupported, smpCommonError } from '../../protocol/smp/failure.ts';
import {
  decodeSmpMessage,
  encodeSmpMessage,
  smpHeaderBytes,
  type SmpMessage,
} from '../../protocol/smp/message.ts';
import { osParameters } from '../../protocol/smp/os-group.ts';
import type { Clock } from '../clock.ts';
import type { SmpTransport } from './smp-transport.ts';

export interface SmpClientOptions {
  /** What a server may take to answer, on top of the time its message is on the wire. */
  readonly answerTimeoutMs: number;
  /** Attempts of a command that is safe to repeat. */
  readonly attempts: number;
}

export const defaultSmpClientOptions: SmpClientOptions = { answerTimeoutMs: 700, attempts: 4 };

/** Before the parameters are known: what the smallest server takes. */
const smallestBufferBytes = 256;
const longestAnswerBytes = 4096;
const busyPauseMs = 100;

interface Waiting {
  readonly command: AnySmpCommand;
  readonly fits: (body: never) => boolean;
  readonly resolve: (answer: SmpAnswer<never>) => void;
  readonly reject: (error: unknown) => void;
  /** Why an answer with the right numbers did not count: better than a time-out to report. */
  lastError?: unknown;
}

/**
 * An SMP version 2 client on one transport. The only failure signal of the wire is silence, so a command that
 * is safe to repeat is sent again with a new sequence number; an answer counts only if sequence, group,
 * command and operation match, anything else is dropped and counted.
 *
 * Several requests may be in flight. Errors of every call: `wire.timeout`, `link.closed`, `wire.too-large`,
 * `smp.bad-response`, `smp.busy`; cancelled by the signal at any time.
 */
export class SmpClient implements AsyncDisposable {
  readonly #transport: SmpTransport;
  readonly #clock: Clock;
  readonly #options: SmpClientOptions;
  readonly #waiting = new Map<number, Waiting>();
  #isClosed = false;
  #sequence = 0;
  #bufferBytes = smallestBufferBytes;
  #bufferCount = 1;
  /** Messages received that answered nothing: late, repeated or forged. */
  strayMessages = 0;

  constructor(transport: SmpTransport, clock: Clock, options: SmpClientOptions = defaultSmpClientOptions) {
    this.#transport = transport;
    this.#clock = clock;
    this.#options = options;
    void transport.closed.then(() => {
      this.#isClosed = true;
      for (const waiting of this.#waiting.values())
        waiting.reject(new DockError('link.closed', transport.name));
    });
    transport.onMessage((bytes) => this.#receive(bytes));
  }

  get closed(): Promise<void> {
    return this.#transport.closed;
  }

  /** Requests the server can hold at once. */
  get window(): number {
    return this.#bufferCount;
  }

  /** Asks the server for its message buffers; a server without the command keeps the smallest size. */
  async negotiate(signal: AbortSignal): Promise<void> {
    const answer = await this.request(osParameters, {}, signal);
    if (answer.kind === 'failed') {
      if (isUnsupported(answer)) return;
      throw failureError(osParameters.name, answer);
    }
    this.#bufferBytes = Math.min(Math.max(answer.body.buf_size, 64), this.#transport.maxMessageBytes);
    this.#bufferCount = Math.min(Math.max(answer.body.buf_count, 1), 8);
  }

  /**
   * The answer, be it success or an error stated by the server. A body that does not satisfy `fits` is no
   * answer to this request: a late one to another, or forged.
   */
  async request<C extends AnySmpCommand>(
    command: C,
    body: RequestOf<C>,
    signal: AbortSignal,
    fits: (body: ResponseOf<C>) => boolean = () => true,
  ): Promise<SmpAnswer<C>> {
    const { attempts } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await this.#attempt(command, { body, fits }, signal);
        const isBusy =
          answer.kind === 'failed' && answer.scope === 'common' && answer.code === smpCommonError.busy;
        // A command that must not be repeated would also arrive too late after a pause: its caller decides.
        if (!isBusy || command.repeat === 'never' || attempt >= attempts) return answer;
        await this.#clock.sleep(busyPauseMs * attempt, signal);
      } catch (error) {
        const isSafe = command.repeat === 'safe' && hasCode(error, 'wire.timeout', 'wire.malformed');
        if (attempt >= attempts || !isSafe) throw error;
      }
    }
  }

  /** The body of a successful answer. Errors in addition: `smp.unsupported`, `smp.rejected`. */
  async call<C extends AnySmpCommand>(
    command: C,
    body: RequestOf<C>,
    signal: AbortSignal,
  ): Promise<ResponseOf<C>> {
    const answer = await this.request(command, body, signal);
    if (answer.kind === 'failed') throw failureError(command.name, answer);
    return answer.body;
  }

  async #attempt<C extends AnySmpCommand>(
    command: C,
    { body, fits }: { body: RequestOf<C>; fits: (body: ResponseOf<C>) => boolean },
    signal: AbortSignal,
  ): Promise<SmpAnswer<C>> {
    signal.throwIfAborted();
    if (this.#isClosed) throw new DockError('link.closed', this.#transport.name);
    const sequence = this.#nextSequence();
    const bytes = encodeSmpMessage(encodeRequest(command, body, sequence));
    const limit = this.#bufferBytes - this.#transport.overheadBytes;
    if (bytes.length > limit) {
      throw new DockError(
        'wire.too-large',
        `${command.name}: ${bytes.length} bytes, the server takes ${limit}`,
      );
    }
    const timeoutMs =
      this.#options.answerTimeoutMs +
      (this.#transport.pacingMs?.(bytes.length) ?? 0) * (this.#waiting.size + 1) +
      2 * this.#transport.wireTimeMs(bytes.length + Math.max(this.#bufferBytes, longestAnswerBytes));

    const answered = Promise.withResolvers<SmpAnswer<C>>();
    const waiting: Waiting = { command, fits, resolve: answered.resolve, reject: answered.reject };
    this.#waiting.set(sequence, waiting);
    const onAbort = (): void => answered.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const timer = new AbortController();
    try {
      this.#transport.send(bytes).catch(answered.reject);
      this.#clock.sleep(timeoutMs, timer.signal).then(
        () =>
          answered.reject(
            waiting.lastError ??
              new DockError('wire.timeout', `${command.name} after ${Math.round(timeoutMs)} ms`),
          ),
        () => undefined,
      );
      return await answered.promise;
    } finally {
      timer.abort();
      signal.removeEventListener('abort', onAbort);
      this.#waiting.delete(sequence);
    }
  }

  /** 8 bits, wrapping; a number still in flight is passed over. */
  #nextSequence(): number {
    do this.#sequence = (this.#sequence + 1) & 0xff;
    while (this.#waiting.has(this.#sequence) && this.#waiting.size < 256);
    return this.#sequence;
  }

  /** One frame may carry several messages; what is no message is dropped like any loss. */
  #receive(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length >= smpHeaderBytes;) {
      let message: SmpMessage;
      try {
        ({ message, rest } = decodeSmpMessage(rest));
      } catch {
        this.strayMessages++;
        return;
      }
      if (!this.#settle(message)) this.strayMessages++;
    }
  }

  #settle(message: SmpMessage): boolean {
    const waiting = this.#waiting.get(message.sequence);
    if (!waiting || !isAnswerTo(message, waiting.command, message.sequence)) return false;
    try {
      const answer = parseAnswer(waiting.command, message);
      if (answer.kind === 'ok' && !waiting.fits(answer.body as never)) return false;
      waiting.resolve(answer as SmpAnswer<never>);
      return true;
    } catch (error) {
      waiting.lastError = error;
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }
}
