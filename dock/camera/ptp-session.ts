import { DockError, hasCode } from '../../protocol/errors.ts';
import { ptpOperation, ptpResponse } from '../../protocol/ptp/codes.ts';
import type { Clock } from '../clock.ts';
import { Handoff } from './handoff.ts';
import { PtpExchange, type PtpRequest, type PtpResult } from './ptp-exchange.ts';
import type { PtpPipe } from './ptp-pipe.ts';
import { climb, recoveryLadder } from './ptp-recovery.ts';
import { defaultPtpTimings, type PtpTimings } from './ptp-timings.ts';

export interface TransactOptions extends Pick<
  PtpRequest,
  'send' | 'expectedBytes' | 'exactBytes' | 'maxDataBytes' | 'onData'
> {
  readonly signal: AbortSignal;
  readonly answerMs?: number;
  /** The session that handles among the parameters belong to; in another one the answer is SessionNotOpen, unasked. */
  readonly epoch?: number | undefined;
}

/** 0xFFFFFFFE is followed by 1: 0 opens sessions, 0xFFFFFFFF is never used. */
const lastTransactionId = 0xffff_fffe;

/**
 * One PTP session: transactions in line, one at a time. It opens itself before the first one and whenever it was lost,
 * and recovers first after anything that leaves the place in the stream unknown. A caller that aborts is let go at
 * once; its transaction ends behind its back, in order if it can, and the next one waits for that.
 */
export class PtpSession {
  readonly #pipe: PtpPipe;
  readonly #clock: Clock;
  readonly #timings: PtpTimings;
  readonly #exchange: PtpExchange;
  #queue: Promise<unknown> = Promise.resolve();
  #state: 'unknown' | 'closed' | 'open' = 'unknown';
  /** The responder's session was opened by us and has not been reset since: its handles still hold. */
  #isOurs = false;
  #transactionId = 0;
  #epoch = 0;
  #isBeyondRecovery = false;

  constructor(pipe: PtpPipe, clock: Clock, timings = defaultPtpTimings) {
    this.#pipe = pipe;
    this.#clock = clock;
    this.#timings = timings;
    this.#exchange = new PtpExchange(pipe);
  }

  /** Counts the sessions opened; object handles mean something only within one. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The whole ladder has failed, the last time it was climbed: trying again at once is idle. */
  get isBeyondRecovery(): boolean {
    return this.#isBeyondRecovery;
  }

  ignoreHeaders(): void {
    this.#exchange.ignoresHeader = true;
  }

  /** After InvalidTransactionID: the responder counts further than we do (libmtp jumps by ten). */
  skipTransactionIds(count: number): void {
    this.#transactionId = Math.min(this.#transactionId + count, lastTransactionId - 1);
  }

  /** The responder has lost its session, or shall. */
  renew(): void {
    if (this.#state === 'open') this.#state = 'closed';
  }

  /** The next transaction climbs the ladder first. */
  distrust(): void {
    this.#state = 'unknown';
  }

  /**
   * One transaction. The payload is collected up to `maxDataBytes`, or goes to `onData`.
   * Errors: `wire.malformed`, `wire.timeout`, `usb.*`, `link.closed`, the reason of the signal.
   */
  transact(operation: number, parameters: readonly number[], options: TransactOptions): Promise<PtpResult> {
    return this.#inLine(options.signal, async () => {
      await this.#ready(options.signal);
      const { epoch, answerMs = this.#timings.answerMs, signal: _, ...rest } = options;
      if (epoch !== undefined && epoch !== this.#epoch) return sessionNotOpen;
      return this.#run({ ...rest, operation, parameters, answerMs });
    });
  }

  /**
   * One transaction whose payload is too long to collect. The next piece is read when the last one was taken; leaving
   * early breaks the transaction off, so that the next one has to recover first.
   */
  async *stream(
    operation: number,
    parameters: readonly number[],
    options: Omit<TransactOptions, 'onData'>,
  ): AsyncGenerator<Uint8Array, PtpResult> {
    const handoff = new Handoff<Uint8Array>();
    const done = this.transact(operation, parameters, { ...options, onData: (bytes) => handoff.give(bytes) });
    done.then(
      () => handoff.end(),
      (error: unknown) => handoff.end({ error }),
    );
    try {
      yield* handoff.taken();
      return await done;
    } finally {
      handoff.refuse(new DockError('wire.timeout', 'the rest is not wanted'));
    }
  }

  /** Makes sure that the responder answers. Errors: those of the ladder. */
  ready(signal: AbortSignal): Promise<void> {
    return this.#inLine(signal, () => this.#ready(signal));
  }

  /** Ends the session in order, if it can be done at once. `leavesOpen` for models that CloseSession harms. */
  async close({ leavesOpen }: { leavesOpen: boolean }): Promise<void> {
    const { graceMs, closeMs } = this.#timings;
    const timer = new AbortController();
    const isLate = await Promise.race([
      this.#queue.then(() => false),
      this.#clock.sleep(graceMs, timer.signal).then(
        () => true,
        () => false,
      ),
    ]);
    timer.abort();
    if (isLate || leavesOpen || this.#state !== 'open') return;
    this.#state = 'closed';
    const transactionId = this.#nextTransactionId();
    const operation = ptpOperation.closeSession;
    await this.#exchange.run({
      operation,
      parameters: [],
      transactionId,
      commandMs: closeMs,
      answerMs: closeMs,
    });
  }

  #inLine<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const settled = new AbortController();
    const caller = Promise.withResolvers<T>();
    const onAbort = (): void => {
      caller.reject(signal.reason);
      if (!isTurn) return;
      void this.#clock.sleep(this.#timings.graceMs, settled.signal).then(
        () => this.#pipe.abandon().catch(() => undefined),
        () => undefined,
      );
    };
    let isTurn = false;
    signal.addEventListener('abort', onAbort, { once: true });
    const turn = this.#queue.then(() => {
      signal.throwIfAborted();
      isTurn = true;
      return work();
    });
    turn.then(caller.resolve, caller.reject);
    this.#queue = turn
      .catch(() => undefined)
      .finally(() => {
        settled.abort();
        signal.removeEventListener('abort', onAbort);
      });
    return caller.promise;
  }

  async #ready(signal: AbortSignal): Promise<void> {
    if (this.#state === 'unknown') await this.#recover(signal);
    else if (this.#state === 'closed') await this.#open();
  }

  /** Rung by rung until a session can be opened (reference/mtp.md A.10). A signal is heeded between rungs. */
  async #recover(signal: AbortSignal): Promise<void> {
    const parts = { pipe: this.#pipe, clock: this.#clock, timings: this.#timings, exchange: this.#exchange };
    let failure: unknown;
    // How the device takes a command now decides what is done to it, not how the last transaction ended.
    this.#exchange.restart();
    for (const rung of recoveryLadder) {
      signal.throwIfAborted();
      try {
        await climb(rung, { ...parts, transactionId: this.#transactionId, signal });
        if (rung === 'port reset' || rung === 'class reset') this.#isOurs = false;
        await this.#open();
        this.#isBeyondRecovery = false;
        return;
      } catch (error) {
        this.#state = 'unknown';
        if (hasCode(error, 'link.closed') || !(error instanceof DockError)) throw error;
        failure = error;
      }
    }
    this.#isBeyondRecovery = true;
    if (!hasCode(failure, 'wire.timeout', 'wire.malformed', 'usb.stall', 'usb.transfer-failed'))
      throw failure;
    throw new DockError('usb.unresponsive', this.#pipe.name, { cause: failure });
  }

  async #open(): Promise<void> {
    const opened = await this.#openOnce();
    if (opened === ptpResponse.sessionAlreadyOpen && !this.#isOurs) {
      // A host before us died. Closing drops its stale handles as well.
      await this.#run({
        operation: ptpOperation.closeSession,
        parameters: [],
        answerMs: this.#timings.openMs,
      });
      const again = await this.#openOnce();
      if (again !== ptpResponse.ok) throw responseError('OpenSession', again);
      this.#opened();
    } else if (opened === ptpResponse.sessionAlreadyOpen) {
      // Ours from before the trouble: handles stay as they were.
      this.#state = 'open';
    } else if (opened === ptpResponse.ok) {
      this.#opened();
    } else {
      throw responseError('OpenSession', opened);
    }
  }

  #opened(): void {
    this.#state = 'open';
    this.#isOurs = true;
    this.#transactionId = 0;
    this.#epoch++;
  }

  async #openOnce(): Promise<number> {
    const { openMs, busyFromMs, busyToMs, busyForMs } = this.#timings;
    const busyUntil = this.#clock.monotonic() + busyForMs;
    for (let pauseMs = busyFromMs; ; pauseMs = Math.min(pauseMs * 2, busyToMs)) {
      const request = { operation: ptpOperation.openSession, parameters: [1], answerMs: openMs };
      const { code } = await this.#run(request, 0);
      if (code !== ptpResponse.deviceBusy || this.#clock.monotonic() >= busyUntil) return code;
      await this.#clock.sleep(pauseMs);
    }
  }

  async #run(
    request: Omit<PtpRequest, 'transactionId' | 'commandMs'>,
    transactionId = this.#nextTransactionId(),
  ): Promise<PtpResult> {
    try {
      const { commandMs } = this.#timings;
      const result = await this.#exchange.run({ ...request, transactionId, commandMs });
      if (result.code === ptpResponse.sessionNotOpen) {
        this.#isOurs = false;
        this.renew();
      }
      if (result.code === ptpResponse.transactionCancelled) this.distrust();
      return result;
    } catch (error) {
      this.distrust();
      throw error;
    }
  }

  #nextTransactionId(): number {
    this.#transactionId = this.#transactionId >= lastTransactionId ? 1 : this.#transactionId + 1;
    return this.#transactionId;
  }
}

const sessionNotOpen: PtpResult = {
  code: ptpResponse.sessionNotOpen,
  parameters: [],
  data: new Uint8Array(0),
};

/** A responder's refusal as an error, for operations that must work. */
export function responseError(what: string, code: number): DockError {
  const detail = `${what}: 0x${code.toString(16)}`;
  if (code === ptpResponse.deviceBusy) return new DockError('ptp.busy', detail);
  if (code === ptpResponse.accessDenied || code === ptpResponse.storeNotAvailable) {
    return new DockError('ptp.access-denied', detail);
  }
  return new DockError('ptp.rejected', detail);
}
