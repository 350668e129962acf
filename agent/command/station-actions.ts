import type { Clock } from '../../dock/clock.ts';
import { parseSerialNumber } from '../../dock/camera/serial-number.ts';
import { DockError } from '../../protocol/errors.ts';
import type { NormItem } from '../../protocol/norm/editions.ts';
import type { PostAssignment } from '../../protocol/norm/assignment.ts';
import type { Assignments } from '../enrolment/assignments.ts';
import type {
  EnrolmentDecision,
  EnrolRequest,
  QuotaUsage,
  ReplaceRequest,
  RetireRequest,
  StationRegister,
  TransferRequest,
} from '../enrolment/register.ts';
import type { BayBoard } from '../session/bay-board.ts';
import type { BayLoop } from '../session/bay-loop.ts';
import type { Database } from '../state/database.ts';

export interface ActionParts {
  readonly clock: Clock;
  readonly db: Database;
  readonly register: StationRegister;
  readonly assignments: Assignments;
  readonly board: BayBoard;
  readonly bays: readonly BayLoop[];
}

/** One bay, or all of them where none is named. */
interface OneBayOrAll {
  readonly bay?: number | undefined;
}

/**
 * What people may have done at a station, whether they ask with dockctl or over MQTT. Each may be asked for twice: the
 * second time changes nothing more. Errors: `bay.unknown` wherever a bay is named.
 */
export class StationActions {
  readonly #parts: ActionParts;

  constructor(parts: ActionParts) {
    this.#parts = parts;
  }

  /**
   * Begins a docking session now where a camera waits for something, or is done. Bays that are paused stay so. Returns
   * which were asked. Errors: `bay.paused`, `camera.not-docked`.
   */
  pull({ bay, serialNumber }: OneBayOrAll & { serialNumber?: string | undefined }): { bays: number[] } {
    const { board } = this.#parts;
    const serial = serialNumber === undefined ? undefined : parseSerialNumber(serialNumber);
    const docked = serial === undefined ? bay : board.bayOf(serial);
    if (serial !== undefined && (docked === undefined || (bay !== undefined && bay !== docked))) {
      throw new DockError('camera.not-docked', bay === undefined ? serial : `${serial} in bay ${bay}`);
    }
    const bays = this.#bays({ bay: docked });
    const ready = bays.filter(({ isPaused }) => !isPaused);
    if (ready.length === 0 && bays.length > 0) throw new DockError('bay.paused');
    for (const one of ready) one.nudge();
    return { bays: ready.map((one) => one.bay) };
  }

  /** Not kept over a restart: a station that nobody is at works. */
  pause({ bay, forSeconds, by }: OneBayOrAll & { forSeconds: number; by: string }): {
    bays: number[];
    until: string;
  } {
    const until = new Date(this.#parts.clock.now() + forSeconds * 1000).toISOString();
    const bays = this.#bays({ bay });
    for (const one of bays) one.pause(forSeconds * 1000, `until ${until}, asked for by ${by}`);
    return { bays: bays.map((one) => one.bay), until };
  }

  /** Returns which were paused. */
  resume({ bay }: OneBayOrAll): { bays: number[] } {
    const paused = this.#bays({ bay }).filter(({ isPaused }) => isPaused);
    for (const one of paused) one.resume();
    return { bays: paused.map((one) => one.bay) };
  }

  identify({ bay, forSeconds }: OneBayOrAll & { forSeconds: number }): { bays: number[]; until: string } {
    const { board, clock } = this.#parts;
    const bays = this.#bays({ bay }).map((one) => one.bay);
    const until = clock.now() + forSeconds * 1000;
    for (const one of bays) board.identify(one, until);
    return { bays, until: new Date(until).toISOString() };
  }

  /** Errors: `enrolment.register-unreachable`. */
  async enrol(
    request: Omit<EnrolRequest, 'publicKey'>,
  ): Promise<EnrolmentDecision & { serialNumber: string }> {
    const { register } = this.#parts;
    const serialNumber = parseSerialNumber(request.serialNumber);
    const publicKey = this.#keyOf(request.item, serialNumber);
    const decision = await register.enrol({ ...request, serialNumber, publicKey });
    // Only what changes something is worth another session of every docked camera.
    if (decision.kind === 'enrolled' && decision.isNew) this.#nudgeWaiting(serialNumber);
    return { serialNumber, ...decision };
  }

  /** Errors: `enrolment.unknown-camera`. */
  async retire(request: RetireRequest): Promise<{ serialNumber: string; retired: true; usage: QuotaUsage }> {
    const { register } = this.#parts;
    const serialNumber = parseSerialNumber(request.serialNumber);
    if (await register.retire({ ...request, serialNumber })) this.#nudgeWaiting(serialNumber);
    return { serialNumber, retired: true, usage: await register.usage(request.item) };
  }

  /** Errors: `enrolment.unknown-camera`, `enrolment.register-unreachable`. */
  async replace(
    request: Omit<ReplaceRequest, 'publicKey'>,
  ): Promise<EnrolmentDecision & { serialNumber: string; replaces: string }> {
    const { register } = this.#parts;
    const serialNumber = parseSerialNumber(request.serialNumber);
    const replaces = parseSerialNumber(request.replaces);
    if (serialNumber === replaces) throw new DockError('control.bad-request', 'nothing can replace itself');
    const publicKey = this.#keyOf(request.item, serialNumber);
    const decision = await register.replace({ ...request, serialNumber, replaces, publicKey });
    if (decision.kind === 'enrolled' && decision.isNew) this.#nudgeWaiting(serialNumber);
    return { serialNumber, replaces, ...decision };
  }

  /** Errors: `enrolment.unknown-camera`, `enrolment.own-register`, `enrolment.register-unreachable`. */
  async transfer(request: TransferRequest): Promise<EnrolmentDecision & { serialNumber: string }> {
    const { register } = this.#parts;
    if (!register.transfer) throw new DockError('enrolment.own-register');
    const serialNumber = parseSerialNumber(request.serialNumber);
    const decision = await register.transfer({ ...request, serialNumber });
    if (decision.kind === 'enrolled') this.#nudgeWaiting(serialNumber);
    return { serialNumber, ...decision };
  }

  /** Errors: `assignment.*`. */
  async installAssignment(jws: string, by: string): Promise<PostAssignment> {
    return await this.#parts.assignments.install(jws, by);
  }

  /** That a camera has shown here. */
  #keyOf(item: NormItem | undefined, serialNumber: string): Uint8Array | undefined {
    if (item === 'computer') return undefined;
    const row = this.#parts.db.get('SELECT public_key FROM camera WHERE serial_number = ?', serialNumber);
    const key = row?.['public_key'];
    return key instanceof Uint8Array ? key : undefined;
  }

  #bays({ bay }: OneBayOrAll): readonly BayLoop[] {
    if (bay === undefined) return this.#parts.bays;
    const one = this.#parts.bays.find((loop) => loop.bay === bay);
    if (!one) throw new DockError('bay.unknown', String(bay));
    return [one];
  }

  /** A changed enrolment concerns its own camera, and those that wait for a place. */
  #nudgeWaiting(serialNumber: string): void {
    const { bays, board } = this.#parts;
    for (const bay of bays) {
      const state = board.get(bay.bay);
      if (state?.phase !== 'ready' || state.serialNumber === serialNumber) bay.nudge();
    }
  }
}
