import { dayOf } from '../../../protocol/norm/service-life.ts';
import type { StationAddress } from '../../../protocol/mqtt/topics.ts';
import type { FleetModel, Station } from './fleet-model.ts';
import type { AlarmState, CameraState, QuotaState } from './fleet-state.ts';

/** `silent`: it said it is online, and then nothing for too long. `unknown`: no status was heard. */
export const stationStates = ['lost', 'silent', 'unknown', 'offline', 'stopping', 'online'] as const;
export type ShownState = (typeof stationStates)[number];

export interface FleetFilter {
  readonly department?: string;
  readonly post?: string;
  readonly station?: string;
  readonly states?: readonly ShownState[];
  /** Only stations with this alarm. */
  readonly alarm?: string;
}

export interface FleetBounds {
  /** An online station that says nothing for so long is silent. Its health comes every period and expires after 600 s. */
  readonly silentAfterMs: number;
  readonly overdueAfterMs: number;
  /** A clock further off is out of bounds, of stations and cameras. */
  readonly clockLimitMs: number;
}

export interface FleetSnapshot {
  readonly at: string;
  readonly totals: {
    readonly departments: number;
    readonly posts: number;
    readonly stations: number;
    readonly states: Readonly<Record<ShownState, number>>;
    readonly cameras: number;
    readonly camerasDocked: number;
    readonly criticalAlarms: number;
    readonly warningAlarms: number;
    readonly missingEventRanges: number;
    /** Online by their status, and nothing else of what every station retains: the broker dropped it on the way. */
    readonly onlyStatus: number;
  };
  readonly messages: { readonly taken: number; readonly rejected: FleetModel['rejected'] };
  readonly alarms: readonly (StationAddress & Omit<AlarmState, 'since'> & { readonly since: string })[];
  readonly stations: readonly StationLine[];
  readonly posts: readonly PostLine[];
  readonly overdueCameras: readonly CameraLine[];
  readonly clocks: readonly ClockLine[];
  /** In which years the service lives of enrolled cameras end; what is overdue is to be replaced this year. */
  readonly replacements: readonly { readonly year: number; readonly cameras: number }[];
}

export interface StationLine extends StationAddress {
  readonly state: ShownState;
  readonly heardAt: string | null;
  readonly version: string | null;
  readonly level: 'ok' | 'warning' | 'critical' | null;
  readonly codes: string;
  readonly bays: Readonly<Record<string, number>>;
  readonly cameras: number;
  readonly alarms: number;
  readonly waitingEvents: number | null;
  readonly droppedSamples: number | null;
  readonly vaultFreeBytes: number | null;
  readonly vaultSecondsUntilFull: number | null;
  readonly clockAheadMs: number | null;
  readonly lastEventSeq: number | null;
  readonly missingEventRanges: number;
}

export interface PostLine extends Omit<StationAddress, 'station'>, Omit<QuotaState, 'ts'> {
  readonly stations: number;
  readonly isOver: boolean;
}

export interface CameraLine extends StationAddress {
  readonly serialNumber: string;
  readonly model: string;
  readonly lastDockedAt: string;
}

export interface ClockLine extends StationAddress {
  /** Of a camera; null for the clock of the station. */
  readonly serialNumber: string | null;
  readonly offsetMs: number | null;
  readonly boundMs: number | null;
  readonly why: 'off' | 'not-trusted';
}

/** What the model says at a moment, worst first. Pure. */
export function fleetSnapshot(
  model: FleetModel,
  now: number,
  bounds: FleetBounds,
  filter: FleetFilter = {},
): FleetSnapshot {
  const shown = [...model.stations.values()]
    .map((station) => ({ station, state: shownState(station, now, bounds) }))
    .filter(({ station, state }) => isWanted(station, state, filter));
  const lines = shown.map(({ station, state }) => stationLine(station, state));
  const stations = shown.map(({ station }) => station);
  const alarms = stations.flatMap(({ address, alarms }) =>
    [...alarms.values()].map((alarm) => ({ ...address, ...alarm, since: iso(alarm.since) })),
  );
  const posts = postLines(stations);
  const count = (level: AlarmState['level']): number =>
    alarms.filter((alarm) => alarm.level === level).length;
  const states = Object.fromEntries(stationStates.map((state) => [state, 0])) as Record<ShownState, number>;
  for (const { state } of shown) states[state] += 1;
  return {
    at: iso(now),
    totals: {
      departments: new Set(stations.map(({ address }) => address.department)).size,
      posts: new Set(stations.map(({ address }) => `${address.department}/${address.post}`)).size,
      stations: stations.length,
      states,
      cameras: sum(stations, ({ cameras }) => cameras.size),
      camerasDocked: sum(stations, ({ health }) => health?.camerasDocked ?? 0),
      criticalAlarms: count('critical'),
      warningAlarms: count('warning'),
      missingEventRanges: sum(lines, ({ missingEventRanges }) => missingEventRanges),
      onlyStatus: sum(stations, (station) => Number(hasOnlyStatus(station))),
    },
    messages: { taken: model.taken, rejected: { ...model.rejected } },
    alarms: alarms.toSorted(
      (a, b) =>
        byText(a.level, b.level) || byText(b.since, a.since) || byAddress(a, b) || byText(a.code, b.code),
    ),
    stations: lines.toSorted((a, b) => severity(a) - severity(b) || byAddress(a, b)),
    posts,
    overdueCameras: overdueCameras(stations, now - bounds.overdueAfterMs),
    clocks: stations.flatMap((station) => clockLines(station, bounds.clockLimitMs)),
    replacements: replacements(stations, Number(dayOf(now).slice(0, 4))),
  };
}

export function shownState(
  { status, heardAt }: Station,
  now: number,
  { silentAfterMs }: FleetBounds,
): ShownState {
  if (!status) return 'unknown';
  return status.state === 'online' && now - heardAt > silentAfterMs ? 'silent' : status.state;
}

function hasOnlyStatus({ status, health, quota, bays }: Station): boolean {
  return status?.state === 'online' && !health && !quota && bays.size === 0;
}

function isWanted({ address, alarms }: Station, state: ShownState, filter: FleetFilter): boolean {
  const { department, post, station, states, alarm } = filter;
  return (
    (department === undefined || department === address.department) &&
    (post === undefined || post === address.post) &&
    (station === undefined || station === address.station) &&
    (states === undefined || states.includes(state)) &&
    (alarm === undefined || alarms.has(alarm))
  );
}

function stationLine(station: Station, state: ShownState): StationLine {
  const { address, status, health, bays, cameras, alarms, events, heardAt, clockAheadMs } = station;
  const phases: Record<string, number> = {};
  for (const { phase } of bays.values()) phases[phase] = (phases[phase] ?? 0) + 1;
  return {
    ...address,
    state,
    heardAt: heardAt === 0 ? null : iso(heardAt),
    version: status?.version ?? null,
    level: health?.level ?? null,
    codes: health?.codes ?? '',
    bays: phases,
    cameras: cameras.size,
    alarms: alarms.size,
    waitingEvents: health?.waitingEvents ?? null,
    droppedSamples: health?.droppedSamples ?? null,
    vaultFreeBytes: health?.vaultFreeBytes ?? null,
    vaultSecondsUntilFull: health?.vaultSecondsUntilFull ?? null,
    clockAheadMs: clockAheadMs ?? null,
    lastEventSeq: events.last || (status?.lastEventSeq ?? null),
    missingEventRanges: events.gaps.length + events.lostGaps,
  };
}

/** Stations of one post share a register: what was said last holds. */
function postLines(stations: readonly Station[]): PostLine[] {
  const posts = new Map<
    string,
    { address: StationAddress; quota: QuotaState | undefined; stations: number }
  >();
  for (const { address, quota } of stations) {
    const key = `${address.department}/${address.post}`;
    const before = posts.get(key);
    const isNewer = quota && (!before?.quota || quota.ts > before.quota.ts);
    posts.set(key, {
      address,
      quota: isNewer ? quota : before?.quota,
      stations: (before?.stations ?? 0) + 1,
    });
  }
  return [...posts.values()]
    .flatMap(({ address: { department, post }, quota, stations: count }) => {
      if (!quota) return [];
      const { ts: _, ...figures } = quota;
      return [{ department, post, stations: count, ...figures, isOver: quota.enrolled > quota.quota }];
    })
    .toSorted((a, b) => Number(b.isOver) - Number(a.isOver) || byPost(a, b));
}

/**
 * Enrolled cameras that no station of their post has seen since `before`. Looked for every second among tens of
 * thousands of cameras: only those that one station has not seen are compared with the others.
 */
function overdueCameras(stations: readonly Station[], before: number): CameraLine[] {
  const overdue = new Map<string, { address: StationAddress; camera: CameraState }[]>();
  for (const { address, cameras } of stations) {
    for (const camera of cameras.values()) {
      if (camera.lastDockedAt >= before || camera.enrolment !== 'enrolled') continue;
      const lines = overdue.get(camera.serialNumber);
      if (lines) lines.push({ address, camera });
      else overdue.set(camera.serialNumber, [{ address, camera }]);
    }
  }
  for (const { address, cameras } of overdue.size === 0 ? [] : stations) {
    for (const { serialNumber, lastDockedAt } of cameras.values()) {
      const lines = overdue.get(serialNumber);
      // Seen later at another station of the post: what this one says is out of date.
      const isOld = lines?.some((line) => isOlder(line, address, lastDockedAt));
      if (lines && isOld)
        overdue.set(
          serialNumber,
          lines.filter((line) => !isOlder(line, address, lastDockedAt)),
        );
    }
  }
  return [...overdue.values()]
    .flat()
    .toSorted((a, b) => a.camera.lastDockedAt - b.camera.lastDockedAt || byAddress(a.address, b.address))
    .map(({ address, camera: { serialNumber, model, lastDockedAt } }) => ({
      ...address,
      serialNumber,
      model,
      lastDockedAt: iso(lastDockedAt),
    }));
}

function replacements(stations: readonly Station[], thisYear: number): FleetSnapshot['replacements'] {
  const years = new Map<string, number>();
  for (const { address, cameras } of stations) {
    for (const { serialNumber, enrolment, serviceEndsOn } of cameras.values()) {
      if (enrolment !== 'enrolled' || serviceEndsOn === undefined) continue;
      // Stations of one post know the same cameras.
      const year = Math.max(thisYear, Number(serviceEndsOn.slice(0, 4)));
      years.set(`${address.department}/${address.post}/${serialNumber}`, year);
    }
  }
  const counts = new Map<number, number>();
  for (const year of years.values()) counts.set(year, (counts.get(year) ?? 0) + 1);
  return [...counts].map(([year, cameras]) => ({ year, cameras })).sort((a, b) => a.year - b.year);
}

function isOlder(
  { address, camera }: { address: StationAddress; camera: CameraState },
  at: StationAddress,
  lastDockedAt: number,
): boolean {
  return byPost(address, at) === 0 && camera.lastDockedAt < lastDockedAt;
}

function clockLines({ address, health, clockAheadMs, cameras }: Station, limitMs: number): ClockLine[] {
  const lines: ClockLine[] = [];
  const isOff = clockAheadMs !== undefined && Math.abs(clockAheadMs) > limitMs;
  if (isOff || health?.isClockTrusted === false) {
    lines.push({
      ...address,
      serialNumber: null,
      offsetMs: clockAheadMs ?? null,
      boundMs: health?.clockBoundMs ?? null,
      why: isOff ? 'off' : 'not-trusted',
    });
  }
  for (const { serialNumber, clockOffsetMs, clockUncertaintyMs = 0 } of cameras.values()) {
    if (clockOffsetMs === undefined || Math.abs(clockOffsetMs) + clockUncertaintyMs <= limitMs) continue;
    lines.push({
      ...address,
      serialNumber,
      offsetMs: clockOffsetMs,
      boundMs: clockUncertaintyMs,
      why: 'off',
    });
  }
  return lines;
}

/** The order of the states, then by the health the station itself states. */
function severity({ state, level, missingEventRanges }: StationLine): number {
  const levels = { critical: 0, warning: 1, ok: 2 };
  return (
    stationStates.indexOf(state) * 10 +
    (level === null ? 2 : levels[level]) * 2 +
    (missingEventRanges ? 0 : 1)
  );
}

function byAddress(a: StationAddress, b: StationAddress): number {
  return byPost(a, b) || byText(a.station, b.station);
}

function byPost(a: Omit<StationAddress, 'station'>, b: Omit<StationAddress, 'station'>): number {
  return byText(a.department, b.department) || byText(a.post, b.post);
}

function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function sum<T>(all: readonly T[], one: (each: T) => number): number {
  return all.reduce((total, each) => total + one(each), 0);
}

/** A hostile time must not throw. */
function iso(at: number): string {
  return new Date(Math.max(-8.64e15, Math.min(8.64e15, at))).toISOString();
}
