import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import { openPty, type PtyLink } from '../../dock/host/pty.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import type { CameraFaults } from '../../dock/simulator/faults.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { serveCamera } from '../../dock/simulator/serve.ts';
import type { StationAddress } from '../../protocol/mqtt/topics.ts';
import { agentCommand } from '../../scripts/agent-command.ts';
import { AgentProcess } from '../crash/agent-process.ts';
import type { Mosquitto } from '../mosquitto/mosquitto.ts';
import { storeOf } from '../support/recordings.ts';
import { certificateOf } from './mosquitto-clients.ts';

/** The agent as it is installed, a process of its own, with simulated cameras, reporting to a broker. */
export class MonitoredStation implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'dock-monitored-'));
  readonly #plugged = new Map<number, PtyLink>();
  readonly agent: AgentProcess;

  /** It has to have a certificate of the broker. */
  constructor(broker: Mosquitto, { department, post, station }: StationAddress, bays: number) {
    const ports = join(this.#folder, 'ports');
    mkdirSync(ports);
    const { ca, cert, key } = certificateOf(broker, `${department}/${post}/${station}`);
    const file = join(this.#folder, 'station.toml');
    const config = {
      station: { department, post, name: station },
      post: { headcount: 1 },
      state: { folder: join(this.#folder, 'state') },
      clock: { station_clock: 'trusted', measure_for_ms: 1000 },
      maintenance: { health_seconds: 5 },
      broker: { url: broker.url, ca_file: ca, cert_file: cert, key_file: key },
      session: { presence_ms: 100, retry_ms: 300, reseat_ms: 0 },
      bay: Array.from({ length: bays }, (_, index) => ({
        number: index + 1,
        serial: { path: join(ports, `bay${index + 1}`), line_gap_ms: 0 },
      })),
    };
    writeFileSync(file, stringify(config));
    this.agent = new AgentProcess(agentCommand(file));
  }

  plug(bay: number, serialNumber: string, faults: CameraFaults = {}): void {
    const link = openPty(join(this.#folder, 'ports', `bay${bay}`));
    this.#plugged.set(bay, link);
    const { store } = storeOf({ 'A.MP4': 100_000 });
    void serveCamera(sampleCamera({ serialNumber, store, faults }, systemClock), link, systemRandom);
  }

  async unplug(bay: number): Promise<void> {
    await this.#plugged.get(bay)?.[Symbol.asyncDispose]();
    this.#plugged.delete(bay);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.kill();
    await Promise.all([...this.#plugged.keys()].map((bay) => this.unplug(bay)));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
