import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { HealthReport } from './station-health.ts';

export interface HealthProblem {
  readonly level: 'warning' | 'critical';
  readonly code: ErrorCode;
  /** What of several: a bay, a camera; empty where there is only one. */
  readonly subject: string;
  readonly detail: string;
}

const [hourS, dayS] = [3600, 24 * 3600];

/** Warning from the first on, critical from the second. */
const thresholds = {
  vaultSecondsUntilFull: [14 * dayS, 2 * dayS],
  vaultFreePart: [0.1, 0.03],
  stateFreeBytes: [2 ** 30, 2 ** 28],
  memoryAvailablePart: [0.1, 0.05],
  loadPerProcessor: [2, 4],
  temperatureCelsius: [75, 90],
  smartWearPercent: [90, 100],
  cameraSecondsUntilFull: [dayS, 4 * hourS],
  backupAgeSeconds: [2 * dayS, 7 * dayS],
  bayIdleSeconds: [14 * dayS, Infinity],
} as const;

/** Whether a code is one that `assess` gives. */
export function isHealthCode(code: string): boolean {
  return (
    code.startsWith('health.') ||
    ['clock.station-untrusted', 'enrolment.unconfirmed', 'vault.slow'].includes(code)
  );
}

type Facts = Omit<HealthReport, 'level' | 'problems'>;

/** What of the readings is out of order. What could not be read is not judged. */
export function assess(facts: Facts, diskErrorsAtStart: number | undefined): HealthProblem[] {
  const problems: HealthProblem[] = [];
  const add = (
    level: HealthProblem['level'] | undefined,
    code: ErrorCode,
    detail: () => string,
    subject = '',
  ): void => {
    if (level) problems.push({ level, code, subject, detail: detail() });
  };

  add(facts.isVaultSlow ? 'critical' : undefined, 'vault.slow', () => 'its disk does not answer');
  const { vaultSecondsUntilFull: untilFull } = facts;
  const vaultPart = part(facts.vaultFreeBytes, facts.vaultTotalBytes);
  add(
    worst(below(untilFull, thresholds.vaultSecondsUntilFull), below(vaultPart, thresholds.vaultFreePart)),
    'health.vault-filling',
    () => `${percent(vaultPart)} free${untilFull === undefined ? '' : `, full in ${days(untilFull)}`}`,
  );
  add(
    below(facts.stateFreeBytes, thresholds.stateFreeBytes),
    'health.state-filling',
    () => `${facts.stateFreeBytes} bytes free`,
  );
  const hasNew = (facts.diskErrors ?? 0) > (diskErrorsAtStart ?? 0);
  add((facts.diskErrors ?? 0) === 0 ? undefined : hasNew ? 'critical' : 'warning', 'health.disk-errors', () =>
    (facts.diskErrorPlaces ?? []).join(', '),
  );
  const isFailing = (facts.smartFailingDisks ?? 0) > 0;
  add(
    isFailing
      ? 'critical'
      : (facts.smartBadSectors ?? 0) > 0
        ? 'warning'
        : above(facts.smartWearPercent, thresholds.smartWearPercent),
    'health.disk-failing',
    () =>
      `${facts.smartFailingDisks} failing, ${facts.smartBadSectors} bad sectors, wear ${facts.smartWearPercent ?? '-'} %`,
  );
  const memoryPart = part(facts.memoryAvailableBytes, facts.memoryTotalBytes);
  add(
    below(memoryPart, thresholds.memoryAvailablePart),
    'health.memory-low',
    () => `${percent(memoryPart)} available`,
  );
  add(
    above(part(facts.load5, facts.processors), thresholds.loadPerProcessor),
    'health.overloaded',
    () => `load ${facts.load5} on ${facts.processors} processors`,
  );
  add(
    above(facts.temperatureCelsius, thresholds.temperatureCelsius),
    'health.too-hot',
    () => `${facts.temperatureCelsius?.toFixed(1)} °C at ${facts.temperatureSensor}`,
  );
  add(facts.isClockTrusted ? undefined : 'warning', 'clock.station-untrusted', () => facts.clockEvidence);
  add(above(facts.backupAgeSeconds, thresholds.backupAgeSeconds), 'health.backup-old', () =>
    days(facts.backupAgeSeconds ?? 0),
  );
  add(facts.registerDoubt === undefined ? undefined : 'warning', 'enrolment.unconfirmed', () =>
    String(facts.registerDoubt),
  );
  for (const { bay, secondsSinceSuccess } of facts.bays) {
    add(
      above(secondsSinceSuccess, thresholds.bayIdleSeconds),
      'health.bay-idle',
      () => `bay ${bay}, ${days(secondsSinceSuccess ?? 0)}`,
      String(bay),
    );
  }
  for (const { serialNumber, secondsUntilFull } of facts.cameras) {
    add(
      below(secondsUntilFull, thresholds.cameraSecondsUntilFull),
      'health.camera-filling',
      () => `${serialNumber}, full in ${days(secondsUntilFull ?? 0)}`,
      serialNumber,
    );
  }
  return problems.toSorted((a, b) => a.level.localeCompare(b.level));
}

type Bounds = readonly [warning: number, critical: number];

function below(value: number | undefined, [warning, critical]: Bounds): HealthProblem['level'] | undefined {
  if (value === undefined || value >= warning) return undefined;
  return value < critical ? 'critical' : 'warning';
}

function above(value: number | undefined, [warning, critical]: Bounds): HealthProblem['level'] | undefined {
  if (value === undefined || value <= warning) return undefined;
  return value > critical ? 'critical' : 'warning';
}

function worst(...levels: (HealthProblem['level'] | undefined)[]): HealthProblem['level'] | undefined {
  return levels.includes('critical') ? 'critical' : levels.find((level) => level !== undefined);
}

function part(some: number | undefined, all: number | undefined): number | undefined {
  return some === undefined || !all ? undefined : some / all;
}

function percent(value: number | undefined): string {
  return value === undefined ? '?' : `${(value * 100).toFixed(1)} %`;
}

function days(seconds: number): string {
  return `${(seconds / dayS).toFixed(1)} days`;
}
