import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { EventType } from '../../protocol/mqtt/events.ts';
import type { Clock } from '../../dock/clock.ts';
import { isHealthCode, type HealthProblem } from '../health/assess.ts';
import { aboveQuota } from '../enrolment/above-quota.ts';
import { registerAway } from '../enrolment/register-away.ts';
import { pastServiceLife } from '../enrolment/service-life.ts';
import type { Assignments } from '../enrolment/assignments.ts';
import type { StationRegister } from '../enrolment/register.ts';
import type { StationHealth } from '../health/station-health.ts';
import type { Log } from '../log.ts';
import type { BayBoard, BayState } from '../session/bay-board.ts';
import type { Database } from '../state/database.ts';
import type { WatchedDisk } from '../vault/watched-disk.ts';
import type { Alarms } from './alarms.ts';
import type { Outbox } from './outbox.ts';
import type { Reporter } from './reporter.ts';

interface WatchParts {
  readonly alarms: Alarms;
  readonly health: StationHealth;
  readonly reporter: Pick<Reporter, 'problems'>;
  readonly outbox: Outbox;
  readonly board: BayBoard;
  readonly db: Database;
  readonly clock: Clock;
  readonly disk: Pick<WatchedDisk, 'isSlow'>;
  readonly log: Log;
  readonly assignments: Assignments;
  readonly register: Pick<StationRegister, 'knownUsage' | 'away'>;
}

/** After a start it takes so long until what stood before has shown itself again, or is over. */
const settledAfterMs = 10 * 60_000;
const restingPhases: ReadonlySet<string> = new Set(['empty', 'charging', 'ready', 'refused']);
/** After these more, or fewer, may be enrolled than the quota allows. */
const quotaEvents: ReadonlySet<EventType> = new Set([
  'camera-enrolled',
  'camera-retired',
  'assignment-installed',
  'service-life-due',
]);
const troubledPhases: ReadonlySet<string> = new Set(['attention', 'quarantined']);

/** Computes from facts what a person has to look at, whenever one of them may have changed. */
export class AlarmWatch {
  readonly #parts: WatchParts;
  readonly #startedMs: number;
  #bays = '';
  readonly #vault = new Map<string, HealthProblem>();
  #isVaultWhole = false;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#startedMs = parts.clock.monotonic();
    parts.outbox.onRecorded((type, data) => {
      this.#noteVault(type, data);
      // Once whoever records has finished what the event tells of.
      if (quotaEvents.has(type)) queueMicrotask(() => this.check());
    });
    parts.health.onSample(() => this.check());
    parts.board.onChange(() => {
      const bays = JSON.stringify(
        parts.board.all().map(({ phase, code }) => (restingPhases.has(phase) ? [phase, code] : code)),
      );
      if (bays === this.#bays) return;
      this.#bays = bays;
      this.check();
    });
  }

  /** Whoever calls has nothing to do with a database that takes no more. */
  check(): void {
    // The database may be on the disk that does not answer.
    if (this.#parts.disk.isSlow) return;
    try {
      this.#parts.alarms.settle(this.#problems(), (code, subject) => this.#isKnown(code, subject));
    } catch (error) {
      this.#parts.log.error('health-failed', { error });
    }
  }

  #problems(): HealthProblem[] {
    const { health, reporter, board, assignments, register } = this.#parts;
    const isClockTrusted = health.latest?.isClockTrusted === true;
    return [
      ...(health.latest?.problems ?? []),
      ...reporter.problems(),
      ...assignments.problems({ isClockTrusted }),
      ...aboveQuota(register.knownUsage()),
      ...registerAway(register, this.#parts.clock.now()),
      ...pastServiceLife(this.#parts.db),
      ...this.#backlog(),
      ...this.#unaccounted(),
      ...this.#vault.values(),
      ...board.all().flatMap((state) => problemOf(state) ?? []),
    ];
  }

  /** Damage stands until a whole check of the vault finds none. What a bay waits for, the bay tells. */
  #noteVault(type: EventType, { code, detail, problems }: Readonly<Record<string, unknown>>): void {
    if (type === 'vault-problem' && code !== 'vault.slow') {
      const problem = { level: 'critical', subject: '', detail: String(detail) } as const;
      this.#vault.set(String(code), { ...problem, code: code as ErrorCode });
      this.#isVaultWhole = false;
    } else if (type === 'vault-checked' && problems === 0) {
      this.#vault.clear();
      this.#isVaultWhole = true;
    }
  }

  #backlog(): HealthProblem[] {
    const { outbox } = this.#parts;
    const backlog = outbox.backlog();
    if (backlog === 'ok') return [];
    const code = backlog === 'full' ? 'report.backlog' : 'report.full';
    return [{ level: 'critical', code, subject: '', detail: `${outbox.waiting().bytes} bytes wait` }];
  }

  /** Of the cameras whose last session left a gap. */
  #unaccounted(): HealthProblem[] {
    return this.#parts.db
      .all(
        `SELECT camera.serial_number, listed - stored - held - quarantined - refused AS gap
         FROM camera JOIN docking_session ON id = (SELECT id FROM docking_session AS last
           WHERE last.serial_number = camera.serial_number AND ended_at IS NOT NULL
           ORDER BY started_at DESC LIMIT 1)
         WHERE gap > 0 ORDER BY camera.serial_number`,
      )
      .map((row) => ({
        level: 'warning',
        code: 'session.unaccounted',
        subject: String(row['serial_number']),
        detail: `${Number(row['gap'])} recordings listed and not reached`,
      }));
  }

  /** A restart, or another try in a bay, does not end what stood; only a fact does. */
  #isKnown(code: string, subject: string): boolean {
    const { health, board, clock } = this.#parts;
    const isSettled = clock.monotonic() - this.#startedMs >= settledAfterMs;
    if (isHealthCode(code)) return health.latest !== undefined;
    if (code.startsWith('report.') || code.startsWith('session.')) return true;
    if (code === 'assignment.expired') return health.latest?.isClockTrusted === true;
    if (code.startsWith('broker.')) return isSettled;
    if (subject === '' && code.startsWith('vault.')) return this.#isVaultWhole;
    const bay = board.get(Number(subject));
    if (!bay || troubledPhases.has(bay.phase)) return true;
    return restingPhases.has(bay.phase) && (bay.phase !== 'empty' || isSettled);
  }
}

function problemOf({ bay, phase, code, detail = '' }: BayState): HealthProblem | undefined {
  if (code === undefined) return undefined;
  const isImpostor = code === 'camera.impostor';
  if (!isImpostor && !troubledPhases.has(phase)) return undefined;
  // Each has an alarm of its own, which the bays only repeat.
  if (code.startsWith('report.') || code === 'vault.slow') return undefined;
  return { level: isImpostor ? 'critical' : 'warning', code, subject: String(bay), detail };
}
