// The power of a station fails at any moment; what was synced survives, everything else is gone. Vault and state are
// on file systems of their own, as on real stations: on one and the same, the catalogue's sync would hide a missing
// sync of the vault's folder. DOCK_CRASH_CUTS sets how often each file system loses its power.
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { agentCommand } from '../../scripts/agent-command.ts';
import type { AgentStart } from './agent-process.ts';
import { CrashStation } from './crash-station.ts';
import { cannotMount, LoopVolume, type FileSystem } from './loop-volume.ts';
import { eventViolations, StationRemains, unfinished, violations, type Hashed } from './station-remains.ts';

const cuts = Number(process.env['DOCK_CRASH_CUTS'] ?? 20);
/** Cuts after which a station that forgets to sync must have been caught. */
const cutsUntilCaught = 5;

describe.runIf(cannotMount === '')(`a station whose power fails${cannotMount}`, () => {
  test.concurrent.for<FileSystem>(['ext4', 'xfs'])(
    `with its vault on %s, ${cuts} times, has lost nothing and has nothing twice`,
    { timeout: 600_000 },
    async (fileSystem) => {
      await using bench = await PowerBench.open(fileSystem, agentCommand);
      const { station } = bench;
      const hashed: Hashed = new Set();
      const life = await station.emptyOnce(3);
      let removedBefore = 0;
      for (let cut = 0; cut < cuts; cut++) {
        for (const camera of station.cameras) camera.record(3 - camera.held().length);
        station.start();
        // At any moment, and in turn just after a camera was told to remove something: then most depends on the disk.
        if (cut % 2 === 0) await station.untilAnyMoment(life);
        else await bench.untilRemoved(1 + randomInt(4));
        await bench.cutPower();
        const remains = new StationRemains(station);
        expect(violations(station, remains, hashed).filter(isNoPart), station.agent?.log).toEqual([]);
        removedBefore += cut % 2;
      }
      await station.emptyOnce(3);
      const remains = new StationRemains(station);
      console.log(
        `${fileSystem}: ${cuts} cuts, ${removedBefore} of them just after a removal, ${remains.recordings.length} recordings`,
      );
      expect(violations(station, remains, new Set())).toEqual([]);
      expect(unfinished(remains)).toEqual([]);
      expect(eventViolations(station.monitor.events(), remains)).toEqual([]);
    },
  );

  test.concurrent.for([
    ['ext4', 'file-sync'],
    ['ext4', 'folder-sync'],
    ['xfs', 'file-sync'],
    ['xfs', 'folder-sync'],
  ] as const)(
    'is caught when its vault on %s leaves out the %s',
    { timeout: 240_000 },
    async ([fileSystem, forgets]) => {
      await using bench = await PowerBench.open(fileSystem, (configFile) =>
        forgetfulAgent(configFile, forgets),
      );
      const { station } = bench;
      let found: string[] = [];
      for (let cut = 0; cut < cutsUntilCaught && found.length === 0; cut++) {
        station.cameras[0]?.record(2);
        station.start();
        await bench.untilRemoved(2);
        await bench.cutPower();
        found = violations(station, new StationRemains(station), new Set()).filter(isNoPart);
      }
      expect(found).not.toEqual([]);
      const symptom =
        forgets === 'file-sync' ? /on disk \d|not what the catalogue says/ : /on disk undefined/;
      expect(
        found.filter((violation) => symptom.test(violation)),
        found.join('\n'),
      ).not.toEqual([]);
      console.log(`${fileSystem} without ${forgets}: ${found[0]}`);
    },
  );
});

/** A station with vault and state on volumes that lose their power together. */
class PowerBench implements AsyncDisposable {
  readonly station: CrashStation;
  readonly #volumes: readonly LoopVolume[];

  static async open(fileSystem: FileSystem, start: (configFile: string) => AgentStart): Promise<PowerBench> {
    const [vault, state] = [new LoopVolume(fileSystem, 512), new LoopVolume('ext4', 64)];
    const station = await CrashStation.open({
      bays: 2,
      vaultFolder: join(vault.mountPoint, 'vault'),
      stateFolder: join(state.mountPoint, 'state'),
      start,
    });
    return new PowerBench(station, [vault, state]);
  }

  private constructor(station: CrashStation, volumes: readonly LoopVolume[]) {
    this.station = station;
    this.#volumes = volumes;
  }

  /** Waits until the cameras have removed so many recordings. */
  async untilRemoved(count: number): Promise<void> {
    let left = count;
    for (const camera of this.station.cameras) camera.onRemoved = () => left--;
    await this.station.until('removals', () => left <= 0);
  }

  /** The agent stands still while the volumes lose what was not synced, and never gets to know. */
  async cutPower(): Promise<void> {
    this.station.agent?.freeze();
    for (const volume of this.#volumes) volume.cut();
    await this.station.agent?.kill();
    for (const volume of this.#volumes) {
      await volume.unmount();
      volume.mount();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.station[Symbol.asyncDispose]();
    for (const volume of this.#volumes) await volume[Symbol.asyncDispose]();
  }
}

/** Until recovery, a power cut may bring back a part whose removal was not synced; nothing is lost by that. */
function isNoPart(violation: string): boolean {
  return !/\/\.part-\S+: nobody knows it$/.test(violation);
}

function forgetfulAgent(configFile: string, forgets: string): AgentStart {
  const { command, args, options } = agentCommand(configFile);
  return {
    command,
    args: args.map((arg) => (arg === 'agent/main.ts' ? 'test/crash/forgetful-agent.ts' : arg)),
    options: { ...options, env: { ...options.env, DOCK_TEST_FORGETS: forgets } },
  };
}
