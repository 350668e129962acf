import { asDockError, hasCode } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { Camera } from '../../dock/camera/camera.ts';
import type { Log } from '../log.ts';
import type { BayBoard } from './bay-board.ts';
import { runDockingSession, type SessionParts, type SessionResult } from './docking-session.ts';

export interface BayLoopParts extends SessionParts {
  readonly board: BayBoard;
  readonly log: Log;
  /** Opens what is in the bay; undefined while there is nothing. */
  readonly openCamera: (signal: AbortSignal) => Promise<Camera | undefined>;
}

/** A docked camera that cannot be finished is tried again after retry_ms, then twice as long each time up to this. */
const longestRetryFactor = 16;

/** Failed looks at a docked camera, each with repeats of its own, after which it counts as gone. */
const looksUntilGone = 2;

/**
 * One bay for as long as the agent runs: look, open, serve, wait until the camera leaves. Nothing that happens here
 * reaches another bay. `nudge` makes a waiting bay try again, such as after somebody enrolled its camera.
 */
export class BayLoop {
  readonly bay: number;
  readonly #parts: BayLoopParts;
  #isNudged = false;
  /** The last problem reported for this bay, so that a standing one is reported once. */
  #reported: ErrorCode | undefined;

  constructor(bay: number, parts: BayLoopParts) {
    this.bay = bay;
    this.#parts = parts;
  }

  nudge(): void {
    this.#isNudged = true;
  }

  /** Resolves when `signal` aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, config, log, board } = this.#parts;
    while (!signal.aborted) {
      try {
        await this.#once(signal);
        await clock.sleep(config.session.presence_ms, signal);
      } catch (error) {
        if (signal.aborted) return;
        log.error('bay-failed', { bay: this.bay, error });
        const { code, message } = asDockError(error);
        board.phase(this.bay, 'attention', { code, detail: message });
        await clock.sleep(config.session.presence_ms, signal).catch(() => undefined);
      }
    }
  }

  async #once(signal: AbortSignal): Promise<void> {
    const { board, openCamera } = this.#parts;
    let camera: Camera | undefined;
    try {
      camera = await openCamera(signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#unusable(asDockError(error).code, asDockError(error).message);
      return;
    }
    if (!camera) {
      this.#reported = undefined;
      board.phase(this.bay, 'empty');
      return;
    }
    await using opened = camera;
    await this.#serve(opened, signal);
  }

  /** A port without an answer is an empty bay: on a fixed line nothing else can be told. */
  #unusable(code: ErrorCode, detail: string): void {
    const { board, outbox } = this.#parts;
    if (code === 'wire.timeout' || code === 'link.closed') {
      board.phase(this.bay, 'empty', { detail: 'a port is there, nothing answers on it' });
      return;
    }
    board.phase(this.bay, 'attention', { code, detail });
    if (this.#reported === code) return;
    this.#reported = code;
    outbox.record('camera-unusable', { bay: this.bay, code, detail: detail.slice(0, 500) });
  }

  async #serve(camera: Camera, signal: AbortSignal): Promise<void> {
    const { board, outbox, config } = this.#parts;
    const { serialNumber } = camera.identity;
    const otherBay = board.bayOf(serialNumber);
    if (otherBay !== undefined && otherBay !== this.bay) {
      this.#unusable('camera.duplicate-serial', `${serialNumber} is docked in bay ${otherBay} as well`);
      await this.#whileThere(camera, { forMs: config.session.retry_ms, signal });
      return;
    }
    this.#reported = undefined;
    board.phase(this.bay, 'identifying');
    board.phase(this.bay, 'enrolling', { serialNumber });
    let retryFactor = 1;
    for (let isThere = true, isFirst = true; isThere; isFirst = false) {
      this.#isNudged = false; // a nudge during the session may concern what it has decided already
      const result = await this.#session(camera, isFirst, signal);
      if (signal.aborted || result.outcome === 'interrupted') break;
      if (result.account.stored > 0) retryFactor = 1;
      // A camera that is done stays until it is taken; one that needs something is tried again.
      const forMs = result.outcome === 'attention' ? config.session.retry_ms * retryFactor : Infinity;
      retryFactor = Math.min(retryFactor * 2, longestRetryFactor);
      isThere = await this.#whileThere(camera, { forMs, signal });
    }
    if (signal.aborted) return;
    outbox.record('camera-undocked', { bay: this.bay, serialNumber, sessionId: this.#lastSessionId });
    board.phase(this.bay, 'empty');
  }

  #lastSessionId = '';

  async #session(camera: Camera, isFirst: boolean, signal: AbortSignal): Promise<SessionResult> {
    const { board, log } = this.#parts;
    const { bay } = this;
    const result = await runDockingSession(
      camera,
      { bay, isFirst },
      this.#parts,
      {
        phase: (phase) => board.phase(bay, phase),
        planned: ({ recordings, bytes }) =>
          board.progress(bay, {
            recordingsListed: recordings,
            bytesPlanned: bytes,
            recordingsDone: 0,
            bytesDone: 0,
          }),
        pulled: ({ recordings, bytes }) =>
          board.progress(bay, { recordingsDone: recordings, bytesDone: bytes }),
      },
      signal,
    );
    this.#lastSessionId = result.sessionId;
    const problem = {
      ...(result.code !== undefined && { code: result.code }),
      ...(result.detail !== undefined && { detail: result.detail }),
    };
    if (result.outcome === 'complete') board.phase(bay, 'ready');
    else if (result.outcome === 'refused') board.phase(bay, 'refused', problem);
    else if (result.outcome === 'attention') board.phase(bay, 'attention', problem);
    const { account, outcome } = result;
    log.info('session-finished', {
      bay,
      serialNumber: camera.identity.serialNumber,
      outcome,
      ...problem,
      ...account,
    });
    return result;
  }

  /** True when the time is up or somebody nudged, false when the camera is gone or was swapped. */
  async #whileThere(
    camera: Camera,
    { forMs, signal }: { forMs: number; signal: AbortSignal },
  ): Promise<boolean> {
    const { clock, config } = this.#parts;
    const deadline = clock.monotonic() + forMs;
    for (let failedLooks = 0; failedLooks < looksUntilGone;) {
      await clock.sleep(config.session.presence_ms, signal);
      if (this.#isNudged || clock.monotonic() >= deadline) return true;
      try {
        const { serialNumber } = await camera.readIdentity(signal);
        if (serialNumber !== camera.identity.serialNumber) return false;
        failedLooks = 0;
      } catch (error) {
        signal.throwIfAborted();
        if (hasCode(error, 'link.closed')) return false;
        failedLooks++;
      }
    }
    return false;
  }
}
