import { randomInt } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import { systemClock } from '../../dock/host/system-clock.ts';
import { startEmbeddedBroker, type EmbeddedBroker } from '../../agent/report/embedded-broker.ts';
import { agentCommand } from '../../scripts/agent-command.ts';
import { Monitor } from '../report/monitor.ts';
import { AgentProcess, type AgentStart } from './agent-process.ts';
import { ShiftCamera } from './shift-camera.ts';

export interface CrashStationOptions {
  readonly bays: number;
  /** On a file system of the test's; by default both are in a folder that goes away. */
  readonly stateFolder?: string;
  readonly vaultFolder?: string;
  readonly reserveBytes?: number;
  /** How to start the agent; by default as `npm run agent` does. */
  readonly start?: (configFile: string) => AgentStart;
}

/** How long a life took to its first question to a camera, and from there until the cameras were empty. */
export interface LifeLengths {
  readonly startMs: number;
  readonly workMs: number;
}

/**
 * A station whose agent is a process of its own, to be killed at any moment. What outlives it is here: cameras on
 * pseudo-terminals, a broker, and central monitoring that hears everything.
 */
export class CrashStation implements AsyncDisposable {
  readonly cameras: readonly ShiftCamera[];
  readonly monitor: Monitor;
  readonly stateFolder: string;
  readonly vaultFolder: string;
  readonly configFile: string;
  readonly #folder: string;
  readonly #broker: EmbeddedBroker;
  readonly #start: (configFile: string) => AgentStart;
  agent: AgentProcess | undefined;
  /** Of what central monitoring received: how much came in earlier lives. */
  #earlier = 0;

  static async open(options: CrashStationOptions): Promise<CrashStation> {
    const broker = await startEmbeddedBroker(0);
    const monitor = await Monitor.on(`mqtt://127.0.0.1:${broker.port}`);
    return new CrashStation(options, broker, monitor);
  }

  private constructor(options: CrashStationOptions, broker: EmbeddedBroker, monitor: Monitor) {
    this.#broker = broker;
    this.monitor = monitor;
    this.#start = options.start ?? agentCommand;
    this.#folder = mkdtempSync(join(tmpdir(), 'dock-crash-'));
    mkdirSync(join(this.#folder, 'ports'));
    this.stateFolder = options.stateFolder ?? join(this.#folder, 'state');
    this.vaultFolder = options.vaultFolder ?? join(this.#folder, 'vault');
    const port = (bay: number): string => join(this.#folder, 'ports', `bay${bay}`);
    const bays = Array.from({ length: options.bays }, (_, index) => index + 1);
    this.cameras = bays.map((bay) => new ShiftCamera(`BC-${bay}`, port(bay)));
    this.configFile = join(this.#folder, 'station.toml');
    const config = {
      post: { headcount: 40 },
      state: { folder: this.stateFolder },
      vault: {
        folder: this.vaultFolder,
        removal: 'when-verified',
        reserve_bytes: options.reserveBytes ?? 0,
      },
      clock: { station_clock: 'trusted', measure_for_ms: 1000 },
      broker: { url: `mqtt://127.0.0.1:${broker.port}` },
      session: { presence_ms: 100, retry_ms: 300, reseat_ms: 0 },
      bay: bays.map((number) => ({ number, serial: { path: port(number), line_gap_ms: 0 } })),
    };
    writeFileSync(this.configFile, stringify(config));
  }

  start(): AgentProcess {
    for (const camera of this.cameras) camera.asked = 'nothing';
    this.#earlier = this.monitor.received.length;
    this.agent = new AgentProcess(this.#start(this.configFile));
    return this.agent;
  }

  /** A whole life: all cameras record and are emptied, and the agent stops in order. */
  async emptyOnce(recordingsEach: number): Promise<LifeLengths> {
    for (const camera of this.cameras) camera.record(recordingsEach);
    const startedMs = systemClock.monotonic();
    const agent = this.start();
    await this.untilAsked();
    const askedMs = systemClock.monotonic();
    await this.until('the cameras emptied', () => this.isEmptied, 60_000);
    const emptiedMs = systemClock.monotonic();
    await this.untilAtRest();
    const end = await agent.stop();
    if (end !== 0) throw new Error(`the agent ended with ${end}\n${agent.log}`);
    return { startMs: Math.ceil(askedMs - startedMs), workMs: Math.ceil(emptiedMs - askedMs) };
  }

  /** Waits until a moment drawn from the lengths of an earlier life: of its start one time in four, else of its work. */
  async untilAnyMoment({ startMs, workMs }: LifeLengths): Promise<void> {
    if (randomInt(4) === 0) return systemClock.sleep(randomInt(startMs));
    await this.untilAsked();
    await systemClock.sleep(randomInt(workMs));
  }

  async untilAsked(): Promise<void> {
    await this.until('a camera asked', () => this.cameras.some(({ asked }) => asked !== 'nothing'), 60_000);
  }

  get isEmptied(): boolean {
    return this.cameras.every((camera) => camera.held().length === 0);
  }

  /** Waits until the cameras are empty and all bays have said so. */
  async untilAtRest(): Promise<void> {
    const isAtRest = (): boolean => this.cameras.every((_, index) => this.phase(index + 1) === 'ready');
    await this.until('the bays at rest', () => this.isEmptied && isAtRest(), 60_000);
  }

  /** The phase of a bay as central monitoring knows it. */
  phase(bay: number): unknown {
    return this.bay(bay)?.['phase'];
  }

  /** What this life said last about a bay. */
  bay(bay: number): Readonly<Record<string, unknown>> | undefined {
    return this.monitor.received.findLast(
      ({ topic }, index) => index >= this.#earlier && topic.endsWith(`/bay/${bay}`),
    )?.body;
  }

  /** Looks every 10 ms; fails at once when the agent ended by itself. */
  async until(what: string, look: () => boolean, withinMs = 50_000): Promise<void> {
    const deadline = systemClock.monotonic() + withinMs;
    while (!look()) {
      const end = this.agent?.end;
      if (end !== undefined) throw new Error(`${what}: the agent ended with ${end}\n${this.agent?.log}`);
      if (systemClock.monotonic() > deadline) {
        const bays = this.cameras.map((_, index) => JSON.stringify(this.bay(index + 1)));
        throw new Error(`${what}: not within ${withinMs} ms\n${bays.join('\n')}\n${this.agent?.log}`);
      }
      await systemClock.sleep(10);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.agent?.end === undefined) await this.agent?.kill();
    for (const camera of this.cameras) await camera[Symbol.asyncDispose]();
    await this.monitor[Symbol.asyncDispose]();
    await this.#broker[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
