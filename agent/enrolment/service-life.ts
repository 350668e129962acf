import type { NormItem } from '../../protocol/norm/editions.ts';
import { dayOf, reportDue, serviceEndsOn, type ServiceReport } from '../../protocol/norm/service-life.ts';
import type { Clock } from '../../dock/clock.ts';
import type { StationClockCheck } from '../clock/station-clock.ts';
import type { Log } from '../log.ts';
import type { HealthProblem } from '../health/assess.ts';
import type { Database } from '../state/database.ts';
import type { Enrolment, Register } from './register.ts';

export interface DueReport {
  readonly item: NormItem;
  readonly serialNumber: string;
  readonly commissionedOn: string;
  readonly serviceEndsOn: string;
  readonly months: ServiceReport;
}

/** Which reports of enrolled sets are due on `day` and were not made; of several only the nearest to the end. */
export function dueReports(enrolments: readonly Enrolment[], day: string): DueReport[] {
  return enrolments.flatMap(({ item, serialNumber, state, commissionedOn, serviceReported = Infinity }) => {
    if (state !== 'enrolled' || commissionedOn === undefined) return [];
    const endsOn = serviceEndsOn({ commissionedOn, item }, day);
    const months = reportDue(endsOn, day);
    if (months === undefined || months >= serviceReported) return [];
    return [{ item, serialNumber, commissionedOn, serviceEndsOn: endsOn, months }];
  });
}

const lookEveryMs = 3_600_000;

/** Reports every hour what is due, while the clock of the station can be trusted. Never rejects. */
export async function watchServiceLife(
  {
    register,
    clock,
    checkStationClock,
    log,
  }: {
    register: Pick<Register, 'reportServiceLife'>;
    clock: Clock;
    checkStationClock: StationClockCheck;
    log: Log;
  },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      if ((await checkStationClock()).isTrusted) await register.reportServiceLife(dayOf(clock.now()));
    } catch (error) {
      log.error('service-life-failed', { error });
    }
    await clock.sleep(lookEveryMs, signal).catch(() => undefined);
  }
}

/** What is past its service life and still enrolled. Such cameras are emptied like any other. */
export function pastServiceLife(db: Database): HealthProblem[] {
  return db
    .all(
      `SELECT item, serial_number, commissioned_on FROM enrolment WHERE state = 'enrolled' AND service_reported = 0
       ORDER BY serial_number`,
    )
    .map((row) => ({
      level: 'warning',
      code: row['item'] === 'computer' ? 'computer.service-life-over' : 'camera.service-life-over',
      subject: String(row['serial_number']),
      detail: `in service since ${String(row['commissioned_on'])}`,
    }));
}
