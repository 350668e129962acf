import { execFile } from 'node:child_process';

/** Whether the station's own clock may be given to cameras. */
export interface StationClockState {
  readonly isTrusted: boolean;
  /** How far it may be off, where the source says so. */
  readonly boundMs?: number;
  /** Such as "chrony: offset 0.2 ms, stratum 3" or why it is not trusted. */
  readonly evidence: string;
}

export type StationClockCheck = () => Promise<StationClockState>;

/** No station ran before: a clock that says so is wrong. */
export const earliestStationAt = Date.UTC(2025, 0, 1);

/** A bound wider than this is no basis for setting clocks. */
const widestBoundMs = 500;

/** For stations whose clock is vouched for by other means, as the configuration says. */
export const trustedByConfiguration: StationClockCheck = async () => ({
  isTrusted: true,
  evidence: 'trusted by configuration (clock.station_clock = "trusted")',
});

/**
 * Asks chrony first, which knows a bound, then systemd: timedatectl only says "error below 16 s", which is not
 * enough, so with timesyncd its own last offset counts.
 */
export const checkStationClock: StationClockCheck = async () => {
  const chrony = await output('chronyc', ['-c', 'tracking']);
  if (chrony !== undefined) return parseChronyTracking(chrony);
  const timesync = await output('timedatectl', ['show-timesync', '--all']);
  const synchronised = await output('timedatectl', ['show', '-p', 'NTPSynchronized', '--value']);
  if (timesync !== undefined && synchronised?.trim() === 'yes') return parseTimesync(timesync);
  return { isTrusted: false, evidence: 'neither chrony nor systemd-timesyncd reports a synchronised clock' };
};

/** Reference id 127.127.1.1: no source but the "local" directive, with a leap status that says Normal. */
const chronyLocalReference = '7F7F0101';

/** All that chrony says of a clock that follows a source; the fourth is "Not synchronised". */
const synchronisedLeaps = ['Normal', 'Insert second', 'Delete second'];

/** CSV of `chronyc -c tracking`; bound = |offset| + root dispersion + half the root delay. */
export function parseChronyTracking(csv: string): StationClockState {
  const fields = csv.trim().split(',');
  // Number('') and Number(' ') are 0: a field that is not there must not count as a clock without error.
  const [stratum, offset, delay, dispersion] = [2, 4, 10, 11].map((index) =>
    Number(fields[index]?.trim() || Number.NaN),
  );
  const leap = fields[13] ?? '';
  if (
    offset === undefined ||
    delay === undefined ||
    dispersion === undefined ||
    Number.isNaN(offset + delay + dispersion)
  ) {
    return { isTrusted: false, evidence: 'chrony: unreadable answer' };
  }
  if (fields[0] === chronyLocalReference) {
    return { isTrusted: false, evidence: 'chrony: follows only its own clock (local mode)' };
  }
  const boundMs = (Math.abs(offset) + Math.abs(dispersion) + Math.abs(delay) / 2) * 1000;
  const evidence = `chrony: stratum ${stratum}, bound ${boundMs.toFixed(1)} ms, leap status ${leap}`;
  return { isTrusted: synchronisedLeaps.includes(leap) && boundMs <= widestBoundMs, boundMs, evidence };
}

/**
 * `timedatectl show-timesync`: the NTP message holds root delay and dispersion of the server; jitter is how far its
 * answers differ here. A message marked as ignored, or of a server that is not synchronised itself, proves nothing.
 */
export function parseTimesync(text: string): StationClockState {
  const message = /NTPMessage=\{(.*)\}/.exec(text)?.[1] ?? '';
  const fieldMs = (name: string): number =>
    milliseconds(new RegExp(`\\b${name}=([\\d.]+)(us|ms|s)?\\b`).exec(message));
  if (/\bIgnored=yes\b|\bLeap=3\b/.test(message))
    return { isTrusted: false, evidence: 'systemd-timesyncd: the answer of the server was not accepted' };
  const boundMs = fieldMs('RootDispersion') + fieldMs('RootDelay') / 2 + fieldMs('Jitter');
  if (Number.isNaN(boundMs))
    return { isTrusted: false, evidence: 'systemd-timesyncd: no answer from a server yet' };
  const evidence = `systemd-timesyncd: bound ${boundMs.toFixed(1)} ms`;
  return { isTrusted: boundMs <= widestBoundMs, boundMs, evidence };
}

/** systemd writes a zero without a unit. */
function milliseconds(match: RegExpExecArray | null): number {
  if (!match) return Number.NaN;
  const [, number, unit] = match;
  if (unit === undefined) return Number(number) === 0 ? 0 : Number.NaN;
  return Number(number) * { us: 0.001, ms: 1, s: 1000 }[unit as 'us' | 'ms' | 's'];
}

function output(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 3000 }, (error, stdout) => resolve(error ? undefined : stdout));
  });
}
