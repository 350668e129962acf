// What a technician does about the station itself: its health, what bays saw before a fault, its database. The real
// program against a real agent, or against what an agent left.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HealthAnswer } from '../../agent/cli/answers.ts';
import { FlightRecorder, type FlightSummary } from '../../agent/flight/flight-recorder.ts';
import { noHealthSources } from '../../agent/health/station-health.ts';
import { backupFolderOf, DatabaseBackups } from '../../agent/state/backups.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { Monitor } from '../report/monitor.ts';
import { runDockctl, type DockctlOutcome } from '../support/dockctl.ts';
import { quickBay, quickCamera } from '../support/quick-bay.ts';
import { storeOf } from '../support/recordings.ts';
import { recordedBay } from '../support/recorded-bay.ts';
import { TestStation } from '../support/test-station.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dock-care-'));
  writeFileSync(join(folder, 'station.toml'), '[state]\nfolder = "."\n');
});
afterEach(() => rmSync(folder, { recursive: true }));

const dockctl = (...args: string[]): Promise<DockctlOutcome> =>
  runDockctl(folder, '--config', 'station.toml', ...args);

async function json<T>(...args: string[]): Promise<T> {
  const { stdout, stderr, code } = await dockctl(...args, '--json');
  expect([stderr, code]).toEqual(['', 0]);
  return JSON.parse(stdout) as T;
}

const dataOf = async (station: TestStation, type: string): Promise<unknown> =>
  (await station.events()).find((event) => event.type === type)?.data;

describe('the health of a station', () => {
  test('is told by dockctl, and to the broker as a retained state and as alarms', async () => {
    let freeBytes = 90;
    const healthSources = { ...noHealthSources, space: async () => ({ freeBytes, totalBytes: 100 }) };
    await using station = await TestStation.start({ folder, bays: 1, host: { healthSources } });
    const well = await dockctl('health');
    expect(well.stdout).toMatch(/^Something needs a hand now\.\ncritical {2}health\.state-filling: 90 bytes/);
    expect(well).toMatchObject({ code: 5, stderr: '' });
    freeBytes = 2 ** 31;
    healthSources.space = async () => ({ freeBytes, totalBytes: 2 ** 32 });
    const report = await json<HealthAnswer>('health');
    expect(report).toMatchObject({ level: 'ok', vaultFreeBytes: 2 ** 31, problems: [] });
    expect(report.sampledAt).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect((await dockctl('health')).stdout).toMatch(
      /^The station is well\.\n\nVault +2\.00 GiB free of 4\.00/,
    );

    await using monitor = await Monitor.on(station.agent.brokerUrl);
    const healthy = await monitor.until('the latest health', () =>
      monitor.on('/health').find(({ body }) => body['level'] === 'ok'),
    );
    expect(healthy.body).toMatchObject({ problems: 0 });
    freeBytes = 2 ** 26;
    await dockctl('health');
    const ill = await monitor.until('a change', () =>
      monitor.on('/health').find(({ body }) => body['problems'] === 2),
    );
    expect(ill.body).toMatchObject({ level: 'critical', codes: 'health.vault-filling health.state-filling' });
    const alarms = await monitor.until('alarms', () => {
      const raised = monitor.events().filter(({ body }) => body['type'] === 'alarm-raised');
      const isTold = raised.some(({ body }) => JSON.stringify(body).includes('health.vault-filling'));
      return isTold && raised.map(({ body }) => body['data']);
    });
    expect(alarms).toContainEqual(
      expect.objectContaining({ level: 'critical', code: 'health.vault-filling' }),
    );
    freeBytes = 2 ** 31;
    await dockctl('health');
    await monitor.until('the end of the alarm', () =>
      monitor
        .events()
        .find(
          ({ body }) =>
            body['type'] === 'alarm-cleared' && JSON.stringify(body).includes('health.vault-filling'),
        ),
    );
  });
});

describe('what bays saw before a fault', () => {
  test('is listed, shown and saved', async () => {
    const parts = { clock: systemClock, random: systemRandom, version: '1' };
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const flights = new FlightRecorder({ ...parts, log, folder: join(folder, 'flights') });
    await using station = await TestStation.start({
      folder,
      host: {
        flights,
        lookIntoBay: recordedBay(flights),
      },
    });
    expect(await dockctl('flights')).toEqual({
      code: 0,
      stdout: 'No fault has been recorded.\n',
      stderr: '',
    });
    const { store } = storeOf({ 'A.MP4': 4000 });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store, faults: { lyingSizeBytes: 1000n } }));
    const [flight] = await station.until('a flight', async () => {
      const { flights: found } = await station.ask<{ flights: FlightSummary[] }>('flights');
      return found.length > 0 && found;
    });
    const { id = '', code = '', frames } = flight ?? {};
    expect(await json('flights')).toMatchObject({
      flights: [{ id, bay: 1, serialNumber: 'BC-1', code, frames }],
    });
    expect((await dockctl('flights')).stdout).toMatch(new RegExp(`${id} .* 1 +BC-1 +${code} +${frames} `));
    const saved = await dockctl('flights', 'show', id, '--save', 'flight.json');
    expect(saved).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/ms < camera identity, read response/),
    });
    expect(JSON.parse(readFileSync(join(folder, 'flight.json'), 'utf8'))).toEqual(
      await json('flights', 'show', id),
    );
    expect((await dockctl('flights', 'show', 'ffffffff')).code).toBe(1);
  });
});

describe('the database of a station', () => {
  /** One that has emptied a camera. */
  async function station(): Promise<TestStation> {
    const backups = new DatabaseBackups({
      folder: backupFolderOf(join(folder, 'vault')),
      keep: 3,
      clock: systemClock,
    });
    const started = await TestStation.start({ folder, host: { lookIntoBay: quickBay, backups } });
    started.plug(1, quickCamera({ serialNumber: 'BC-1', store: storeOf({ 'A.MP4': 4000 }).store }));
    await started.untilPhase(1, 'ready');
    await started.until('the first backup', async () => await dataOf(started, 'database-backed-up'));
    return started;
  }
  interface Check {
    readonly problems: string[];
    readonly backups: { path: string; takenAt: string; problems: string[] }[];
  }
  /** Backups are named by the second. */
  const backUp = async (): Promise<object> => {
    await systemClock.sleep(1000 - (systemClock.now() % 1000));
    return json('database', 'backup');
  };
  const enrolments = async (): Promise<string[]> =>
    (await json<{ cameras: { enrolment: string }[] }>('cameras')).cameras.map(({ enrolment }) => enrolment);

  test('is checked and backed up beside the running agent', async () => {
    await using _ = await station();
    const before = await json<Check>('database', 'check');
    expect(before).toMatchObject({ problems: [], backups: [{ problems: [] }] });
    expect(before.backups[0]?.takenAt).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    const taken = await backUp();
    const [newest] = (await json<Check>('database', 'check')).backups;
    expect(newest).toMatchObject(taken);
    expect((await dockctl('database', 'check')).stdout).toMatch(
      /station\.db: sound \(schema \d+\)\n[^]*sound\n/,
    );
    expect(await dockctl('database', 'restore')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('state.locked'),
    });
  });

  test('that is damaged is said to be: exit code 4; restored, the register waits for a person', async () => {
    await using agent = await station();
    const backup = await backUp();
    await agent.unplug(1);
    await agent.stop();
    writeFileSync(join(folder, 'station.db'), Buffer.alloc(20_000, 0xa5));
    expect(await dockctl('database', 'check')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('station.db: damaged'),
    });
    expect((await dockctl('database', 'restore', 'no-such.db')).stderr).toContain('state.no-backup');
    expect(await json('database', 'restore')).toMatchObject({
      from: 'backup',
      backup,
    });
    expect((await json<Check>('database', 'check')).problems).toEqual([]);

    await agent.restart();
    expect(await enrolments()).toContain('enrolled');
    agent.plug(1, quickCamera({ serialNumber: 'BC-2', store: storeOf({}).store }));
    expect(await agent.untilPhase(1, 'refused')).toMatchObject({ code: 'enrolment.unconfirmed' });
    expect((await dockctl('database', 'confirm')).stdout).toMatch(/^The register is confirmed/);
    expect(await agent.untilPhase(1, 'ready')).toMatchObject({ serialNumber: 'BC-2' });
    expect(await json('database', 'confirm')).toEqual({ wasInDoubt: false });
  });

  test('is rebuilt from the vault alone, where all else is lost', async () => {
    await using agent = await station();
    await agent.unplug(1);
    await agent.stop();
    rmSync(join(folder, 'station.db'));
    const rebuilt = await dockctl('database', 'rebuild');
    expect(rebuilt).toMatchObject({ code: 0, stderr: '' });
    expect(rebuilt.stdout).toMatch(
      /^Rebuilt from the vault alone.*\n1 recordings are in the catalogue, 1 of them/,
    );
    await agent.restart();
    expect((await json<{ recordings: unknown[] }>('recordings')).recordings).toHaveLength(1);
    expect(await enrolments()).toEqual([]);
  });
});
