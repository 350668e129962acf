// Disks fill up, are made read-only by the kernel after an error, fall out of their mount, and stop answering for a
// while. The real agent on a file system that does: it says so with a code, nothing is removed from a camera, other
// bays go on where they need no disk, and all is stored as soon as it passes, with nobody doing anything.
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../dock/host/system-clock.ts';
import type { StatusAnswer } from '../../agent/cli/answers.ts';
import { askForResult } from '../../agent/control/client.ts';
import { errorCatalogue } from '../../protocol/error-catalogue.ts';
import { CrashStation } from './crash-station.ts';
import { cannotMount, LoopVolume, type FileSystem } from './loop-volume.ts';
import { eventViolations, StationRemains, unfinished, violations } from './station-remains.ts';

describe.runIf(cannotMount === '')(`a station whose disk fails it${cannotMount}`, () => {
  test.for<FileSystem>(['ext4', 'xfs'])(
    'waits for room on a full %s and goes on by itself',
    async (fileSystem) => {
      await using bench = await DiskBench.open({ fileSystem });
      const ballast = join(bench.vault.mountPoint, 'ballast');
      await bench.whilePulling(() => fill(bench.vault.mountPoint, ballast));
      await bench.untilAttention('vault.disk-full');
      const said = await bench.dockctl('status');
      expect(said).toMatch(/^Look at bay/m);
      expect(said).toContain(`What to do: ${errorCatalogue['vault.disk-full'].nextStep}`);
      bench.expectNothingLost();
      rmSync(ballast);
      await bench.expectGoesOn();
    },
  );

  test('says that the disk is read-only and goes on when it takes writes again', async () => {
    await using bench = await DiskBench.open({ fileSystem: 'ext4' });
    await bench.whilePulling(() => bench.vault.makeReadOnly());
    await bench.untilAttention('vault.read-only');
    bench.expectNothingLost();
    await bench.vault.unmount();
    await bench.untilAttention('vault.not-mounted');
    expect(await bench.status()).toMatchObject({ vault: { freeBytes: null, problem: 'vault.file-missing' } });
    expect(readdirSync(bench.vault.mountPoint)).toEqual([]);
    bench.vault.mount();
    await bench.expectGoesOn();
  });

  test('stores nothing elsewhere when it starts before the disk is mounted', async () => {
    await using bench = await DiskBench.open({ fileSystem: 'ext4' });
    await bench.station.emptyOnce(3);
    await bench.vault.unmount();
    bench.record();
    bench.station.start();
    await bench.untilAttention('vault.not-mounted');
    expect(readdirSync(bench.vault.mountPoint)).toEqual([]);
    bench.vault.mount();
    await bench.expectGoesOn();
  });

  test(
    'waits for a disk that does not answer, says so, and takes it for no failure of a camera',
    { timeout: 240_000 },
    async () => {
      await using bench = await DiskBench.open({ fileSystem: 'ext4', camerasWithRecordings: 1 });
      await bench.whilePulling(() => bench.vault.freeze());
      try {
        await bench.untilAttention('vault.slow');
        const status = await bench.status();
        expect(status).toMatchObject({ vault: { freeBytes: null, problem: 'vault.slow' } });
        // The bay that needs no disk is served from start to end meanwhile.
        expect(bench.station.phase(2)).toBe('ready');
        for (const session of [2, 3]) {
          await bench.station.cameras[1]?.replug();
          await bench.untilSessions('BC-2', session);
        }
        expect(bench.station.phase(1)).toBe('attention');
      } finally {
        bench.vault.thaw();
      }
      await bench.expectGoesOn();
      const remains = new StationRemains(bench.station);
      expect(remains.sessions.filter(({ serial_number: serial }) => serial === 'BC-1')).toMatchObject([
        { outcome: 'complete' },
      ]);
      const problems = remains.events
        .filter(({ type }) => type === 'vault-problem')
        .map(({ data }) => JSON.parse(String(data)));
      expect(problems).toMatchObject([{ code: 'vault.slow' }]);
    },
  );

  test('says that the disk of its state is full and goes on when there is room', async () => {
    await using bench = await DiskBench.open({ fileSystem: 'ext4' });
    const ballast = join(bench.state.mountPoint, 'ballast');
    await bench.whilePulling(() => fill(bench.state.mountPoint, ballast));
    await bench.untilStatus(({ bays }) =>
      bays.every(({ phase, code }) => phase === 'attention' && code === 'vault.disk-full'),
    );
    bench.expectNothingLost();
    rmSync(ballast);
    await bench.expectGoesOn();
  });
});

/** A station with vault and state on volumes of their own, and recordings on its cameras. */
class DiskBench implements AsyncDisposable {
  readonly station: CrashStation;
  readonly vault: LoopVolume;
  readonly state: LoopVolume;
  readonly #camerasWithRecordings: number;

  static async open(options: { fileSystem: FileSystem; camerasWithRecordings?: number }): Promise<DiskBench> {
    const vault = new LoopVolume(options.fileSystem, options.fileSystem === 'xfs' ? 320 : 64);
    const state = new LoopVolume('ext4', 64);
    const stateFolder = join(state.mountPoint, 'state');
    mkdirSync(stateFolder);
    const vaultFolder = join(vault.mountPoint, 'vault');
    const station = await CrashStation.open({ bays: 2, vaultFolder, stateFolder, reserveBytes: 1_000_000 });
    return new DiskBench(station, vault, state, options.camerasWithRecordings ?? 2);
  }

  private constructor(
    station: CrashStation,
    vault: LoopVolume,
    state: LoopVolume,
    camerasWithRecordings: number,
  ) {
    this.station = station;
    this.vault = vault;
    this.state = state;
    this.#camerasWithRecordings = camerasWithRecordings;
  }

  record(): void {
    for (const camera of this.station.cameras.slice(0, this.#camerasWithRecordings)) camera.record(12);
  }

  /** Starts the agent and calls `work` once something is stored and more is being pulled. */
  async whilePulling(work: () => void): Promise<void> {
    const { station } = this;
    this.record();
    station.start();
    const [camera] = station.cameras;
    const stored = (): number => station.monitor.on('/event/recording-stored').length;
    await station.until('a pull', () => stored() > 0 && camera?.asked === 'recording');
    work();
  }

  /** Waits until a bay tells central monitoring that it needs attention, and why. */
  async untilAttention(code: string): Promise<void> {
    await this.station.until(code, () => this.station.bay(1)?.['code'] === code);
    expect(this.station.bay(1)).toMatchObject({ phase: 'attention', serialNumber: 'BC-1' });
  }

  async untilStatus(isReached: (status: StatusAnswer) => boolean): Promise<void> {
    const deadline = systemClock.monotonic() + 50_000;
    for (let status = await this.status(); !isReached(status); status = await this.status()) {
      if (systemClock.monotonic() > deadline) throw new Error(JSON.stringify(status.bays));
      await systemClock.sleep(50);
    }
  }

  async untilSessions(serialNumber: string, count: number): Promise<void> {
    const finished = (): number =>
      this.station.monitor.on('/event/session-finished').filter(({ body }) => {
        return (body['data'] as Record<string, unknown>)['serialNumber'] === serialNumber;
      }).length;
    await this.station.until(`session ${count} of ${serialNumber}`, () => finished() >= count);
  }

  /** What a technician reads. */
  async dockctl(command: string): Promise<string> {
    const args = ['agent/cli/dockctl.ts', '--config', this.station.configFile, command];
    return (await promisify(execFile)(process.execPath, args)).stdout;
  }

  async status(): Promise<StatusAnswer> {
    return (await askForResult(join(this.station.stateFolder, 'control.sock'), 'status', {})) as StatusAnswer;
  }

  expectNothingLost(): void {
    // Its database is copied: not while it writes.
    this.station.agent?.freeze();
    const remains = new StationRemains(this.station);
    this.station.agent?.resume();
    const lost = violations(this.station, remains, new Set());
    expect(lost.filter((violation) => /lost$|on disk|not what|another digest/.test(violation))).toEqual([]);
  }

  /** With nobody doing anything: all is stored and removed, and the agent ends in order. */
  async expectGoesOn(): Promise<void> {
    await this.station.untilAtRest();
    expect(await this.station.agent?.stop()).toBe(0);
    const remains = new StationRemains(this.station);
    expect(violations(this.station, remains, new Set())).toEqual([]);
    expect(unfinished(remains)).toEqual([]);
    expect(eventViolations(this.station.monitor.events(), remains)).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.station[Symbol.asyncDispose]();
    await this.vault[Symbol.asyncDispose]();
    await this.state[Symbol.asyncDispose]();
  }
}

/** Leaves no byte. */
function fill(mountPoint: string, path: string): void {
  for (let bytes = 2 ** 20; bytes >= 512; bytes /= 2) {
    for (;;) {
      try {
        writeFileSync(path, new Uint8Array(bytes), { flag: 'a' });
        if (statfsSync(mountPoint).bfree === 0) return;
      } catch {
        break;
      }
    }
  }
}
