import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSerialBay } from '../../dock/bay/serial-bay.ts';
import { defaultSerialLine } from '../../dock/host/serial-port.ts';
import { openPty, type PtyLink } from '../../dock/host/pty.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { serveCamera, type ServedCamera } from '../../dock/simulator/serve.ts';
import { startAgent, type Agent } from '../../agent/agent.ts';
import type { AgentHost } from '../../agent/agent-host.ts';
import type { BayPhase } from '../../protocol/mqtt/documents.ts';
import { trustedByConfiguration } from '../../agent/clock/station-clock.ts';
import { configSchema, type Config } from '../../agent/config/schema.ts';
import { askForResult } from '../../agent/control/client.ts';
import type { ControlRequestName } from '../../agent/control/requests.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';

import type { BaysAnswer, SessionsAnswer } from '../../agent/cli/answers.ts';
import type { StoredEvent } from '../../agent/report/stored-event.ts';

export interface TestStationOptions {
  readonly bays?: number;
  readonly config?: Record<string, unknown>;
  readonly host?: Partial<AgentHost>;
  /** Use and keep this folder instead of a fresh one that goes away. */
  readonly folder?: string;
}

/**
 * The whole agent in this process, with its real serial ports on pseudo-terminals, its real database and its real
 * embedded broker. Dispose of it; `restart` stops and starts it on the same folder.
 */
export class TestStation implements AsyncDisposable {
  readonly folder: string;
  readonly config: Config;
  readonly #host: AgentHost;
  readonly #isOwnFolder: boolean;
  readonly #plugged = new Map<number, PtyLink>();
  #isRunning = true;
  agent!: Agent;

  private constructor(options: TestStationOptions) {
    this.#isOwnFolder = options.folder === undefined;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), 'dock-test-'));
    mkdirSync(join(this.folder, 'ports'), { recursive: true });
    const bays = Array.from({ length: options.bays ?? 1 }, (_, index) => ({
      number: index + 1,
      serial: { path: this.portPath(index + 1) },
    }));
    this.config = configSchema.parse({
      post: { headcount: 40 },
      state: { folder: this.folder },
      clock: { station_clock: 'trusted', measure_for_ms: 1500 },
      broker: { embedded_port: 0 },
      session: { presence_ms: 100, retry_ms: 300, reseat_ms: 0 },
      bay: bays,
      ...options.config,
    });
    this.#host = {
      clock: systemClock,
      random: systemRandom,
      disk: nodeDisk,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      checkStationClock: trustedByConfiguration,
      lookIntoBay: ({ serial }, signal) =>
        openSerialBay(
          { place: { path: serial?.path ?? '' }, line: defaultSerialLine, burstLines: 2, lineGapMs: 1 },
          systemClock,
          signal,
        ),
      ...options.host,
    };
  }

  static async start(options: TestStationOptions = {}): Promise<TestStation> {
    const station = new TestStation(options);
    station.agent = await startAgent({ config: station.config, file: undefined }, station.#host);
    return station;
  }

  portPath(bay: number): string {
    return join(this.folder, 'ports', `bay${bay}`);
  }

  /** Puts a camera into a bay. */
  plug(bay: number, camera: ServedCamera): PtyLink {
    const link = openPty(this.portPath(bay));
    this.#plugged.set(bay, link);
    void serveCamera(camera, link, systemRandom);
    return link;
  }

  async unplug(bay: number): Promise<void> {
    await this.#plugged.get(bay)?.[Symbol.asyncDispose]();
    this.#plugged.delete(bay);
  }

  /** Takes a camera out, and when its bay is empty puts it back until it is done. */
  async dockAgain(bay: number, camera: ServedCamera): Promise<void> {
    await this.unplug(bay);
    await this.untilPhase(bay, 'empty');
    this.plug(bay, camera);
    await this.untilPhase(bay, 'ready');
  }

  /** Stops the agent; `restart` starts it again. */
  async stop(): Promise<void> {
    if (this.#isRunning) await this.agent.stop();
    this.#isRunning = false;
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#isRunning = true;
    this.agent = await startAgent({ config: this.config, file: undefined }, this.#host);
  }

  async ask<T>(name: ControlRequestName, body: object = {}): Promise<T> {
    return (await askForResult(this.agent.socketPath, name, body)) as T;
  }

  /** Looks every 20 ms until `look` gives something; fails with what is known of the bays. */
  async until<T>(what: string, look: () => Promise<T | undefined | false>, withinMs = 50_000): Promise<T> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      if (performance.now() > deadline) {
        const { bays } = await this.ask<BaysAnswer>('bays');
        throw new Error(`${what}: not within ${withinMs} ms; bays: ${JSON.stringify(bays)}`);
      }
      await systemClock.sleep(20);
    }
  }

  /** Waits until a bay is in one of the phases. */
  untilPhase(bay: number, ...phases: readonly BayPhase[]): Promise<BaysAnswer['bays'][number]> {
    return this.until(`bay ${bay} ${phases.join(' or ')}`, async () => {
      const { bays } = await this.ask<BaysAnswer>('bays');
      return bays.find((state) => state.bay === bay && phases.includes(state.phase));
    });
  }

  /** All docking sessions, newest first. */
  async sessions(): Promise<SessionsAnswer['sessions']> {
    return (await this.ask<SessionsAnswer>('sessions', { limit: 1000 })).sessions;
  }

  /** All events so far, oldest first. */
  async events(): Promise<Pick<StoredEvent, 'seq' | 'type' | 'data'>[]> {
    const { askAgent } = await import('../../agent/control/client.ts');
    const events: Pick<StoredEvent, 'seq' | 'type' | 'data'>[] = [];
    for await (const line of askAgent(this.agent.socketPath, 'events', { after: 0, limit: 10_000 })) {
      if (line.kind === 'item') events.push(line.item as StoredEvent);
    }
    return events;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#plugged.keys()].map((bay) => this.unplug(bay)));
    await this.stop();
    if (this.#isOwnFolder) rmSync(this.folder, { recursive: true, force: true });
  }
}
