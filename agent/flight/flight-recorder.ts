import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { uuidV7, type Clock, type RandomSource } from '../../dock/clock.ts';
import { FrameLog } from '../../dock/flight/frame-log.ts';
import type { Log } from '../log.ts';
import { describeFrames, flightSchema, type Flight } from './flight.ts';

export interface FlightFault {
  readonly bay: number;
  readonly serialNumber: string;
  readonly code: string;
  readonly detail: string;
}

/** One flight of the list. */
export type FlightSummary = Omit<Flight, 'v' | 'frames'> & {
  readonly frames: number;
  readonly sizeBytes: number;
};

interface RecorderParts {
  readonly folder: string;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
  readonly version: string;
}

const mostFlights = 50;
const mostBytes = 8 * 1024 * 1024;
/** A bay that fails over and over must not wear the disk. */
const pauseMs = 60_000;
const namePattern = /^[0-9a-f-]{36}\.json$/;

/**
 * The last frames of every bay in memory, written to a folder when something goes wrong there. Bounded in number and
 * size, oldest dropped first. Losing one in a crash is no loss.
 */
export class FlightRecorder {
  readonly #parts: RecorderParts;
  readonly #logs = new Map<number, FrameLog>();
  readonly #writtenMs = new Map<number, number>();
  #writing = Promise.resolve();

  constructor(parts: RecorderParts) {
    this.#parts = parts;
  }

  logOf(bay: number): FrameLog {
    const log = this.#logs.get(bay) ?? new FrameLog(this.#parts.clock);
    this.#logs.set(bay, log);
    return log;
  }

  /** Takes down what the bay saw; returns at once. */
  fault(fault: FlightFault): void {
    const { clock, random, log, version } = this.#parts;
    const nowMs = clock.monotonic();
    if (nowMs - (this.#writtenMs.get(fault.bay) ?? -Infinity) < pauseMs) return;
    const frames = this.logOf(fault.bay).frames();
    if (frames.length === 0) return;
    this.#writtenMs.set(fault.bay, nowMs);
    const head = {
      v: 1 as const,
      id: uuidV7(clock, random),
      at: new Date(clock.now()).toISOString(),
      ...fault,
      detail: fault.detail.slice(0, 500),
      version,
    };
    this.#writing = this.#writing
      .then(() => this.#write({ ...head, frames: describeFrames(frames, nowMs) }))
      .catch((error: unknown) => log.warn('flight-failed', { error }));
  }

  /** Newest first. */
  async list(): Promise<FlightSummary[]> {
    const summaries: FlightSummary[] = [];
    for (const { path, sizeBytes } of await this.#files()) {
      const flight = await readFlight(path);
      if (!flight) continue;
      const { v: _, frames, ...head } = flight;
      summaries.push({ ...head, frames: frames.length, sizeBytes });
    }
    return summaries;
  }

  /** By its id or the start of it. */
  async get(id: string): Promise<Flight | undefined> {
    const file = (await this.#files()).find(({ name }) => name.startsWith(id));
    return file && readFlight(file.path);
  }

  /** Everything is written. */
  async settle(): Promise<void> {
    await this.#writing;
  }

  async #write(flight: Flight): Promise<void> {
    const { folder } = this.#parts;
    await mkdir(folder, { recursive: true, mode: 0o750 });
    const path = join(folder, `${flight.id}.json`);
    await writeFile(`${path}.new`, `${JSON.stringify(flight)}\n`, { mode: 0o640 });
    await rename(`${path}.new`, path);
    let bytes = 0;
    for (const [index, file] of (await this.#files()).entries()) {
      bytes += file.sizeBytes;
      if (index >= mostFlights || bytes > mostBytes) await rm(file.path, { force: true });
    }
  }

  /** Newest first: their names sort by time. */
  async #files(): Promise<{ name: string; path: string; sizeBytes: number }[]> {
    const { folder } = this.#parts;
    const names = await readdir(folder).catch(() => []);
    const files = names
      .filter((name) => namePattern.test(name))
      .toSorted()
      .toReversed()
      .map(async (name) => {
        const path = join(folder, name);
        return { name, path, sizeBytes: (await stat(path).catch(() => undefined))?.size ?? 0 };
      });
    return Promise.all(files);
  }
}

async function readFlight(path: string): Promise<Flight | undefined> {
  try {
    return flightSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}
