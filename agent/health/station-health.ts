import { statfs } from 'node:fs/promises';
import type { Clock, RandomSource } from '../../dock/clock.ts';
import type { StationClockCheck } from '../clock/station-clock.ts';
import type { Log } from '../log.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database } from '../state/database.ts';
import type { WatchedDisk } from '../vault/watched-disk.ts';
import { assess, type HealthProblem } from './assess.ts';
import { ownDisks, readDiskErrors, type DiskErrorReading } from './disk-errors.ts';
import { cameraForecasts, storedBytesPerDay, type CameraForecast } from './forecast.ts';
import { readLoad, type LoadReading } from './load.ts';
import { readMemory, type MemoryReading } from './memory.ts';
import { askSmartctl, readSmart, type AskSmart, type SmartReading } from './smart.ts';
import { systemFiles, type SystemFiles } from './system-files.ts';
import { readTemperature, type TemperatureReading } from './temperature.ts';

/** What the machine tells about itself; the simulation brings none or its own. */
export interface HealthSources {
  readonly files: SystemFiles;
  readonly space: (folder: string) => Promise<{ freeBytes: number; totalBytes: number } | undefined>;
  readonly askSmart: AskSmart;
}

export const systemHealthSources: HealthSources = {
  files: systemFiles(),
  space: (folder) =>
    statfs(folder).then(
      ({ bavail, blocks, bsize }) => ({ freeBytes: bavail * bsize, totalBytes: blocks * bsize }),
      () => undefined,
    ),
  askSmart: askSmartctl,
};

/** A machine that tells nothing. */
export const noHealthSources: HealthSources = {
  files: { read: async () => undefined, list: async () => [], target: async () => undefined },
  space: async () => undefined,
  askSmart: async () => undefined,
};

export interface BayHealth {
  readonly bay: number;
  /** Since a session ended with everything done; absent when none ever did. */
  readonly secondsSinceSuccess?: number;
}

/** The station's own health at one moment. A source that this machine lacks leaves its fields out. */
export interface HealthReport
  extends MemoryReading, LoadReading, TemperatureReading, DiskErrorReading, SmartReading {
  readonly level: 'ok' | 'warning' | 'critical';
  readonly problems: readonly HealthProblem[];
  /** UTC milliseconds. */
  readonly sampledAt: number;
  readonly vaultFreeBytes?: number;
  readonly vaultTotalBytes?: number;
  readonly vaultBytesPerDay?: number;
  readonly vaultSecondsUntilFull?: number;
  readonly stateFreeBytes?: number;
  readonly stateTotalBytes?: number;
  /** The disk of the vault does not answer; what it would tell is left out. */
  readonly isVaultSlow: boolean;
  readonly isClockTrusted: boolean;
  readonly clockEvidence: string;
  readonly clockBoundMs?: number;
  /** Failures between bays and cameras that were ever counted, see `dockctl faults`. */
  readonly lineFaults: number;
  readonly backupAgeSeconds?: number;
  /** Why nobody is enrolled by itself. */
  readonly registerDoubt?: string;
  readonly bays: readonly BayHealth[];
  readonly cameras: readonly CameraForecast[];
}

export interface StationHealthParts {
  readonly sources: HealthSources;
  /** Of the vault. */
  readonly disk: WatchedDisk;
  readonly checkStationClock: StationClockCheck;
  readonly db: Database;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
  readonly vaultFolder: string;
  readonly stateFolder: string;
  readonly reserveBytes: number;
  readonly bays: readonly number[];
  readonly newestBackupAt: () => Promise<number | undefined>;
  readonly registerDoubt: () => string | undefined;
  readonly periodMs: number;
}

/** smartctl wakes the disk's controller and takes a process: seldom is enough. What changes by the day is as old. */
const seldomMs = 3_600_000;
/** Sums over two weeks of recordings. */
const forecastMs = 600_000;
const recordMs = 15 * 60_000;
/** Slewing moves a clock by far less between two samples; cameras are not set by a clock that may be off by more. */
const smallestStepMs = 500;

/** Measures the health of the station every period, and keeps a sample of it in events now and then. */
export class StationHealth {
  readonly #parts: StationHealthParts;
  readonly #listeners = new Set<() => void>();
  readonly #smart: () => Promise<SmartReading>;
  readonly #forecast: () => Promise<{ perDay: number | undefined; cameras: CameraForecast[] }>;
  #diskErrorsAtStart: number | undefined;
  #latest: HealthReport | undefined;
  #recordedMs = -Infinity;
  /** Wall clock and monotonic clock at the last sample. */
  #clocks: readonly [wall: number, steady: number];

  constructor(parts: StationHealthParts) {
    this.#parts = parts;
    const { sources, clock, db } = parts;
    this.#clocks = bothClocks(clock);
    this.#smart = seldom(clock, seldomMs, async () =>
      readSmart(await ownDisks(sources.files), sources.askSmart),
    );
    this.#forecast = seldom(clock, forecastMs, async () => {
      const now = Math.floor(clock.now());
      return { perDay: storedBytesPerDay(db, now), cameras: cameraForecasts(db, now) };
    });
  }

  /** The last sample; undefined before the first. */
  get latest(): HealthReport | undefined {
    return this.#latest;
  }

  onSample(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Resolves when `signal` aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log, periodMs } = this.#parts;
    while (!signal.aborted) {
      await this.sample().catch((error: unknown) => log.error('health-failed', { error }));
      // Not all stations of a post at the same moment.
      const jitter = (random.bytes(1)[0] ?? 0) / 256;
      await clock.sleep(periodMs * (0.9 + jitter / 5), signal).catch(() => undefined);
    }
  }

  async sample(): Promise<HealthReport> {
    const facts = await this.#read();
    this.#diskErrorsAtStart ??= facts.diskErrors;
    const problems = assess(facts, this.#diskErrorsAtStart);
    const level = problems.some((problem) => problem.level === 'critical')
      ? 'critical'
      : problems.length > 0
        ? 'warning'
        : 'ok';
    this.#latest = { level, problems, ...facts };
    // The database may be on the disk that does not answer, and an event would wait for it, and all with it.
    if (!facts.isVaultSlow) {
      this.#noteClockStep();
      this.#record(facts);
    }
    for (const listener of this.#listeners) listener();
    return this.#latest;
  }

  /** Events carry the time as the station believed it to be: whoever reads them learns when it was set right. */
  #noteClockStep(): void {
    const { clock, outbox } = this.#parts;
    const [wall, steady] = this.#clocks;
    const [wallNow, steadyNow] = (this.#clocks = bothClocks(clock));
    const stepMs = Math.round(wallNow - wall - (steadyNow - steady));
    if (Math.abs(stepMs) >= smallestStepMs) outbox.record('station-clock-stepped', { stepMs });
  }

  /** For curves of a station that was out of reach for days. */
  #record(facts: Omit<HealthReport, 'level' | 'problems'>): void {
    const { clock, outbox } = this.#parts;
    if (clock.monotonic() - this.#recordedMs < recordMs) return;
    this.#recordedMs = clock.monotonic();
    outbox.record('station-sampled', { ...facts, waitingEvents: outbox.depth() });
  }

  async #read(): Promise<Omit<HealthReport, 'level' | 'problems'>> {
    const { sources, disk, db, clock, vaultFolder, stateFolder, reserveBytes } = this.#parts;
    const { files } = sources;
    const vault = await disk.unlessSlow(() => disk.during(() => sources.space(vaultFolder)));
    const backupAt = await disk.unlessSlow(() => disk.during(() => this.#parts.newestBackupAt()));
    const state = await disk.unlessSlow(() => sources.space(stateFolder));
    const smart = await disk.unlessSlow(() => this.#smart());
    const { perDay, cameras } = await this.#forecast();
    const station = await this.#parts.checkStationClock();
    const now = Math.floor(clock.now());
    const doubt = this.#parts.registerDoubt();
    const secondsUntilFull =
      vault && perDay ? (Math.max(0, vault.freeBytes - reserveBytes) / perDay) * 24 * 3600 : undefined;
    return {
      sampledAt: now,
      ...(vault && { vaultFreeBytes: vault.freeBytes, vaultTotalBytes: vault.totalBytes }),
      ...(perDay !== undefined && { vaultBytesPerDay: Math.round(perDay) }),
      ...(secondsUntilFull !== undefined && { vaultSecondsUntilFull: Math.round(secondsUntilFull) }),
      ...(state && { stateFreeBytes: state.freeBytes, stateTotalBytes: state.totalBytes }),
      ...(await readMemory(files)),
      ...(await readLoad(files)),
      ...(await readTemperature(files)),
      ...(await readDiskErrors(files)),
      ...smart,
      isVaultSlow: disk.isSlow,
      isClockTrusted: station.isTrusted,
      clockEvidence: station.evidence,
      ...(station.boundMs !== undefined && { clockBoundMs: station.boundMs }),
      lineFaults: Number(db.get('SELECT coalesce(sum(count), 0) AS n FROM fault')?.['n']),
      ...(backupAt !== undefined && { backupAgeSeconds: Math.round((now - backupAt) / 1000) }),
      ...(doubt !== undefined && { registerDoubt: doubt }),
      bays: this.#bays(now),
      cameras,
    };
  }

  #bays(now: number): BayHealth[] {
    return this.#parts.bays.map((bay) => {
      const row = this.#parts.db.get(
        `SELECT max(ended_at) AS at FROM docking_session WHERE bay = ? AND outcome = 'complete'`,
        bay,
      );
      const at = row?.['at'];
      return { bay, ...(typeof at === 'number' && { secondsSinceSuccess: Math.round((now - at) / 1000) }) };
    });
  }
}

/** Of one moment: to a process that is held up in between, it would look like a step. */
function bothClocks(clock: Clock): readonly [wall: number, steady: number] {
  for (;;) {
    const steady = clock.monotonic();
    const wall = clock.now();
    if (clock.monotonic() - steady < 50) return [wall, steady];
  }
}

/** Remembers an answer for a while. */
function seldom<T>(clock: Clock, everyMs: number, ask: () => Promise<T>): () => Promise<T> {
  let last: { readonly atMs: number; readonly answer: T } | undefined;
  return async () => {
    if (!last || clock.monotonic() - last.atMs >= everyMs)
      last = { atMs: clock.monotonic(), answer: await ask() };
    return last.answer;
  };
}
