import { asDockError, DockError, hasCode } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { BayContent, LookIntoBay } from '../../dock/bay/bay-content.ts';
import type { Camera } from '../../dock/camera/camera.ts';
import type { Log } from '../log.ts';
import { Progress } from '../service/progress.ts';
import type { BayBoard } from './bay-board.ts';
import { runDockingSession, type SessionParts, type SessionResult } from './docking-session.ts';
import { FailureLadder, type Rung } from './failure-ladder.ts';
import type { FaultLog } from './fault-log.ts';

export interface BayLoopParts extends SessionParts {
  readonly board: BayBoard;
  readonly faults: FaultLog;
  readonly log: Log;
  readonly look: LookIntoBay;
  /** Switches the power of the bay off and on; false where it cannot be switched. */
  readonly powerCycle: () => Promise<boolean>;
}

/** A docked camera that cannot be finished is tried again after retry_ms, then twice as long each time up to this. */
const longestRetryFactor = 16;

/** Failed looks at a docked camera, each with repeats of its own, after which it counts as gone. */
const looksUntilGone = 2;

/** A person takes a camera out once or twice in the middle of its session; a loose contact does it over and over. */
const pullsUntilFlapping = 3;

/** Every step of a bay has deadlines of its own that are shorter: a bay that is silent for longer hangs. */
const longestStepMs = 15 * 60_000;

/** A camera whose docking was reported, until its leaving is. */
interface Docked {
  readonly serialNumber: string;
  /** Its latest. */
  readonly sessionId: string;
  /** Monotonic: since then it may be out of reach. */
  readonly seenMs: number;
}

/**
 * One bay for as long as the agent runs: look, open, serve, wait until the camera leaves. Nothing that happens here
 * reaches another bay. `nudge` makes a waiting bay try again, such as after somebody enrolled its camera; `wake` makes
 * it look at once; `pause` leaves its camera alone for a while.
 */
export class BayLoop {
  readonly bay: number;
  readonly progress: Progress;
  readonly #parts: BayLoopParts;
  readonly #ladder = new FailureLadder();
  #isNudged = false;
  /** Sessions in a row that ended early with nothing stored. */
  #fruitless = 0;
  /** Monotonic: until then a camera that keeps failing is left alone. */
  #restUntilMs = -Infinity;
  #wake = new AbortController();
  /** Ends what is under way: at a pause, and with the agent. */
  #work = new AbortController();
  #paused: { readonly untilMs: number; readonly detail: string } | undefined;
  /** The last problem reported for this bay, so that a standing one is reported once. */
  #reported: ErrorCode | undefined;
  #docked: Docked | undefined;

  constructor(bay: number, parts: BayLoopParts) {
    this.bay = bay;
    this.progress = new Progress(`bay ${bay}`, parts.clock);
    this.#parts = parts;
  }

  nudge(): void {
    this.#isNudged = true;
    this.#restUntilMs = -Infinity;
    this.#wake.abort();
  }

  /** A hint that something may have changed on its port: a seated camera need not wait, unless its contacts flap. */
  wake(): void {
    if (this.#fruitless < pullsUntilFlapping) this.#restUntilMs = -Infinity;
    this.#wake.abort();
  }

  /** Begins nothing new for `forMs`; what is under way stops where it can be resumed. `detail` is shown meanwhile. */
  pause(forMs: number, detail: string): void {
    this.#paused = { untilMs: this.#parts.clock.monotonic() + forMs, detail };
    this.#work.abort(new DockError('bay.paused', detail));
    this.#wake.abort();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = undefined;
    this.nudge();
  }

  get isPaused(): boolean {
    return this.#paused !== undefined && this.#parts.clock.monotonic() < this.#paused.untilMs;
  }

  /** Resolves when `signal` aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, board } = this.#parts;
    // One listener for all that is waited for in the years to come.
    const end = (): void => {
      this.#work.abort(signal.reason);
      this.#wake.abort();
    };
    signal.addEventListener('abort', end, { once: true });
    while (!signal.aborted) {
      this.progress.within(longestStepMs);
      if (this.#work.signal.aborted) this.#work = new AbortController();
      try {
        if (this.isPaused) board.phase(this.bay, 'paused', { detail: this.#paused?.detail ?? '' });
        else await this.#once(this.#work.signal);
        await this.#rest(this.#work.signal);
      } catch (error) {
        if (signal.aborted) return;
        if (this.#work.signal.aborted) continue;
        log.error('bay-failed', { bay: this.bay, error });
        const { code, message } = asDockError(error);
        board.phase(this.bay, 'attention', { code, detail: message });
        await this.#rest(this.#work.signal).catch(() => undefined);
      }
    }
  }

  /** Until the next look is due, or somebody wakes the bay. */
  async #rest(signal: AbortSignal): Promise<void> {
    const { clock, config } = this.#parts;
    this.#wake = new AbortController();
    this.progress.within(config.session.presence_ms + longestStepMs);
    if (!signal.aborted) {
      await clock.sleep(config.session.presence_ms, this.#wake.signal).catch((error: unknown) => {
        if (!this.#wake.signal.aborted) throw error;
      });
    }
    signal.throwIfAborted();
    this.progress.within(longestStepMs);
  }

  async #once(signal: AbortSignal): Promise<void> {
    const { look, clock } = this.#parts;
    if (clock.monotonic() < this.#restUntilMs) return;
    let content: BayContent;
    try {
      content = await look(signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#undockedIfGone();
      const { code, message } = asDockError(error);
      await this.#unusable(code, message);
      return;
    }
    if (content.kind !== 'camera') {
      this.#reported = undefined;
      this.#ladder.empty(clock.monotonic());
      this.#withoutCamera(content);
      return;
    }
    await using camera = content.camera;
    await this.#serve(camera, signal);
  }

  #withoutCamera({ kind, detail }: Exclude<BayContent, { kind: 'camera' }>): void {
    const { board } = this.#parts;
    this.#undockedIfGone();
    if (this.#docked) {
      board.phase(this.bay, 'identifying', { detail: `${this.#docked.serialNumber} is out of reach` });
    } else {
      board.phase(this.bay, kind, detail === undefined ? {} : { detail });
    }
  }

  /** A device that is there and cannot be worked with. */
  async #unusable(code: ErrorCode, detail: string, serialNumber = ''): Promise<void> {
    const { board, outbox } = this.#parts;
    const shown = (await this.#failed(code, serialNumber)) === 'faulty' ? 'bay.faulty' : code;
    const phase = code === 'camera.stranger' ? 'quarantined' : 'attention';
    // Whatever is in the bay now, it is not known to be the camera of before.
    board.phase(this.bay, phase, { isUnknown: true, code: shown, detail });
    if (this.#reported === shown) return;
    this.#reported = shown;
    outbox.record('camera-unusable', { bay: this.bay, code: shown, detail: detail.slice(0, 500) });
  }

  /** Counts a failure, and does what the ladder asks for. */
  async #failed(code: ErrorCode, serialNumber: string): Promise<Rung> {
    if (!isBetweenBayAndCamera(code)) return 'try-again';
    this.#parts.faults.count(this.bay, serialNumber, code);
    const rung = this.#ladder.failed();
    if (rung === 'power-cycle') await this.#powerCycle(code);
    return rung;
  }

  async #powerCycle(code: ErrorCode): Promise<void> {
    const { powerCycle, outbox, log } = this.#parts;
    try {
      const isDone = await powerCycle();
      if (isDone) outbox.record('bay-power-cycled', { bay: this.bay, code });
    } catch (error) {
      log.warn('bay-power-cycle-failed', { bay: this.bay, error });
    }
  }

  /** A camera that lost contact is still docked until its time to come back is over. */
  #undockedIfGone(): void {
    const { board, outbox, clock, config } = this.#parts;
    if (!this.#docked) return;
    const { serialNumber, sessionId, seenMs } = this.#docked;
    const isElsewhere = ![undefined, this.bay].includes(board.bayOf(serialNumber));
    if (!isElsewhere && clock.monotonic() - seenMs < config.session.reseat_ms) return;
    outbox.record('camera-undocked', { bay: this.bay, serialNumber, sessionId });
    this.#docked = undefined;
    this.#fruitless = 0;
  }

  async #serve(camera: Camera, signal: AbortSignal): Promise<void> {
    const { board, clock, config } = this.#parts;
    const { serialNumber } = camera.identity;
    if (this.#docked && this.#docked.serialNumber !== serialNumber) {
      this.#docked = { ...this.#docked, seenMs: -Infinity };
      this.#undockedIfGone();
    }
    const otherBay = board.bayOf(serialNumber);
    if (otherBay !== undefined && otherBay !== this.bay) {
      await this.#unusable(
        'camera.duplicate-serial',
        `${serialNumber} is docked in bay ${otherBay} as well`,
        serialNumber,
      );
      await this.#whileThere(camera, { forMs: config.session.retry_ms, signal });
      return;
    }
    this.#reported = undefined;
    board.phase(this.bay, 'identifying');
    board.phase(this.bay, 'enrolling', { serialNumber });
    let interrupted: SessionResult | undefined;
    let retryFactor = 1;
    const compared = new Set<string>();
    for (let isThere = true; isThere;) {
      if (!(await this.#untilReportable(camera, signal))) break;
      this.#isNudged = false; // a nudge during the session may concern what it has decided already
      const result = await this.#session(camera, compared, signal);
      if (signal.aborted) return;
      if (result.outcome === 'interrupted') {
        interrupted = result;
        break;
      }
      if (result.account.stored > 0) retryFactor = 1;
      // A camera that is done stays until it is taken; one that needs something is tried again.
      const forMs = result.outcome === 'attention' ? config.session.retry_ms * retryFactor : Infinity;
      retryFactor = Math.min(retryFactor * 2, longestRetryFactor);
      isThere = await this.#whileThere(camera, { forMs, signal });
    }
    if (this.#docked) this.#docked = { ...this.#docked, seenMs: clock.monotonic() };
    if (!interrupted) this.#fruitless = 0;
    else this.#fruitless = interrupted.account.stored > 0 ? 0 : this.#fruitless + 1;
    const { code = 'link.closed', detail = '' } = interrupted ?? {};
    const isTaken = code === 'link.closed' && this.#fruitless < pullsUntilFlapping;
    if (isTaken) return this.#withoutCamera({ kind: 'empty' });
    // Opened afresh at once it would fail at once, over and over.
    const restMs = config.session.retry_ms * Math.min(2 ** (this.#fruitless - 1), longestRetryFactor);
    if (this.#fruitless > 0) this.#restUntilMs = clock.monotonic() + restMs;
    await this.#unusable(code, detail, serialNumber);
  }

  /** False when the camera left meanwhile. */
  async #untilReportable(camera: Camera, signal: AbortSignal): Promise<boolean> {
    const { outbox, board, config } = this.#parts;
    while (outbox.backlog() === 'overfull') {
      board.phase(this.bay, 'attention', { code: 'report.full', detail: 'no session begins' });
      if (!(await this.#whileThere(camera, { forMs: config.session.retry_ms, signal }))) return false;
    }
    return true;
  }

  async #session(camera: Camera, compared: Set<string>, signal: AbortSignal): Promise<SessionResult> {
    const { board, clock, log } = this.#parts;
    const { bay } = this;
    const { serialNumber } = camera.identity;
    const result = await runDockingSession(
      camera,
      { bay, isFirst: this.#docked === undefined, compared },
      this.#parts,
      {
        opened: (sessionId) => (this.#docked = { serialNumber, sessionId, seenMs: clock.monotonic() }),
        busy: (ms) => this.progress.within(longestStepMs + ms),
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
    const problem = {
      ...(result.code !== undefined && { code: result.code }),
      ...(result.detail !== undefined && { detail: result.detail }),
    };
    if (result.outcome === 'complete') board.phase(bay, 'ready');
    else if (result.outcome === 'refused') board.phase(bay, 'refused', problem);
    else if (result.outcome === 'attention') board.phase(bay, 'attention', problem);
    const { account, outcome, code } = result;
    if (code === undefined || account.stored > 0) this.#ladder.worked();
    if (code !== undefined && outcome !== 'interrupted') await this.#failed(code, serialNumber);
    log.info('session-finished', {
      bay,
      serialNumber,
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
    const { clock } = this.#parts;
    const deadline = clock.monotonic() + forMs;
    for (let failedLooks = 0; failedLooks < looksUntilGone;) {
      await this.#rest(signal);
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

/** Whether an error tells about the contact between a bay and a camera, not about disks, rules or recordings. */
function isBetweenBayAndCamera(code: ErrorCode): boolean {
  return /^(wire|link|usb|ptp)\./.test(code) || ['camera.unlock-failed', 'camera.unproven'].includes(code);
}
