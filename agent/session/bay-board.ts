import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { BayPhase } from '../../protocol/mqtt/documents.ts';
import type { Clock } from '../../dock/clock.ts';

/** What is going on in one bay right now; rebuilt from facts at every start. */
export interface BayState {
  readonly bay: number;
  readonly phase: BayPhase;
  /** Station time. */
  readonly since: number;
  readonly serialNumber?: string;
  readonly code?: ErrorCode;
  readonly detail?: string;
  /** Station time: until then the bay shows itself to whoever stands in front of it. */
  readonly identifyUntil?: number;
  readonly recordingsDone: number;
  readonly recordingsListed: number;
  readonly bytesDone: number;
  readonly bytesPlanned: number;
  readonly bytesPerSecond: number;
}

const idle = { recordingsDone: 0, recordingsListed: 0, bytesDone: 0, bytesPlanned: 0, bytesPerSecond: 0 };

/** Phases in which a bay waits for the disk of the vault when that does not answer. */
const storingPhases: ReadonlySet<BayPhase> = new Set<BayPhase>(['pulling', 'removing']);

/** The bays of the station as people and central monitoring see them. */
export class BayBoard {
  readonly #clock: Clock;
  readonly #states = new Map<number, BayState>();
  readonly #pullStartedMs = new Map<number, number>();
  readonly #listeners = new Set<(bay: number) => void>();
  #isDiskSlow = false;

  constructor(clock: Clock, bays: readonly number[]) {
    this.#clock = clock;
    for (const bay of bays) this.#states.set(bay, { bay, phase: 'empty', since: clock.now(), ...idle });
  }

  all(): BayState[] {
    const states = [...this.#states.values()].map((state) => this.#shown(state));
    return states.toSorted((a, b) => a.bay - b.bay);
  }

  get(bay: number): BayState | undefined {
    const state = this.#states.get(bay);
    return state && this.#shown(state);
  }

  /** While the disk does not answer, the bays that store say so; what they are at goes on underneath. */
  diskIsSlow(isSlow: boolean): void {
    this.#isDiskSlow = isSlow;
    for (const { bay, phase } of this.#states.values()) {
      if (storingPhases.has(phase)) for (const listener of this.#listeners) listener(bay);
    }
  }

  /** The bay in which a camera is docked. */
  bayOf(serialNumber: string): number | undefined {
    return this.all().find((state) => state.serialNumber === serialNumber)?.bay;
  }

  /** A new phase; what is not given is forgotten, except the camera and its progress, unless it is said to be unknown. */
  phase(
    bay: number,
    phase: BayPhase,
    facts: { serialNumber?: string; isUnknown?: boolean; code?: ErrorCode; detail?: string } = {},
  ): void {
    const before = this.#states.get(bay);
    const isEmpty = phase === 'empty' || phase === 'identifying' || facts.isUnknown === true;
    const serialNumber = facts.serialNumber ?? (isEmpty ? undefined : before?.serialNumber);
    const isSame =
      before?.phase === phase &&
      before.code === facts.code &&
      before.detail === facts.detail &&
      before.serialNumber === serialNumber;
    if (isSame) return;
    if (phase === 'pulling') this.#pullStartedMs.set(bay, this.#clock.monotonic());
    this.#put({
      ...(isEmpty || !before ? idle : progressOf(before)),
      bay,
      phase,
      since: this.#clock.now(),
      ...(serialNumber !== undefined && { serialNumber }),
      ...(facts.code !== undefined && { code: facts.code }),
      ...(facts.detail !== undefined && { detail: facts.detail }),
      ...(before?.identifyUntil !== undefined && { identifyUntil: before.identifyUntil }),
    });
  }

  /** The bay shows itself until then, by the clock of the station; also in the next phases. */
  identify(bay: number, identifyUntil: number): void {
    const before = this.#states.get(bay);
    if (before) this.#put({ ...before, identifyUntil });
  }

  progress(bay: number, change: Partial<ReturnType<typeof progressOf>>): void {
    const before = this.#states.get(bay);
    if (!before) return;
    const elapsedMs = this.#clock.monotonic() - (this.#pullStartedMs.get(bay) ?? 0);
    const state = { ...before, ...change };
    const bytesPerSecond = elapsedMs > 0 ? Math.round((state.bytesDone / elapsedMs) * 1000) : 0;
    this.#put({ ...state, bytesPerSecond });
  }

  /** Calls `listener` with the number of a bay whose state changed; it must only enqueue. */
  onChange(listener: (bay: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #shown({ identifyUntil = 0, ...rest }: BayState): BayState {
    const state = identifyUntil > this.#clock.now() ? { ...rest, identifyUntil } : rest;
    if (!this.#isDiskSlow || !storingPhases.has(state.phase)) return state;
    const detail = `${state.phase}: waiting for the disk of the vault`;
    return { ...state, phase: 'attention', code: 'vault.slow', detail };
  }

  #put(state: BayState): void {
    this.#states.set(state.bay, state);
    for (const listener of this.#listeners) listener(state.bay);
  }
}

function progressOf({ recordingsDone, recordingsListed, bytesDone, bytesPlanned, bytesPerSecond }: BayState) {
  return { recordingsDone, recordingsListed, bytesDone, bytesPlanned, bytesPerSecond };
}
