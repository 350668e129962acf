import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { spawn as spawnInPty } from '@lydell/node-pty';
import { describe, expect, test } from 'vitest';
import type { CheckReport } from '../../agent/cli/fleet/fleet-check.ts';
import type { FleetSnapshot } from '../../agent/cli/fleet/fleet-snapshot.ts';
import { startEmbeddedBroker } from '../../agent/report/embedded-broker.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { until } from '../report/monitor.ts';
import { ReportingStation } from '../report/reporting-station.ts';
import { storeOf } from '../support/recordings.ts';
import { TestStation } from '../support/test-station.ts';

// The real programs against real stations on a real broker, as the control room starts them.

const root = join(import.meta.dirname, '..', '..');
const dockctl = [join(root, 'agent', 'cli', 'dockctl.ts'), 'fleet'];
const monitor = [join(root, 'scripts', 'monitor.ts')];

class Program implements AsyncDisposable {
  out = '';
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  readonly #child;

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    this.#child.stdout.on('data', (chunk) => (this.out += String(chunk)));
    this.#child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code) => resolve({ code, stdout: this.out, stderr }));
    });
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

async function run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  await using program = new Program(args);
  return await program.ended;
}

describe('dockctl fleet', () => {
  test('shows a real station with its bays, its camera and its quota, also as JSON and by the script', async () => {
    await using station = await TestStation.start({ bays: 2, config: { post: { headcount: 0 } } });
    const { store } = storeOf({ 'A.MP4': 1000 });
    station.plug(1, sampleCamera({ serialNumber: 'BC-1', store }, systemClock));
    await station.untilPhase(1, 'refused');
    const broker = ['--broker', station.agent.brokerUrl];
    const look = async (): Promise<FleetSnapshot> => {
      const { code, stdout, stderr } = await run(...dockctl, ...broker, '--json');
      expect(stderr).toBe('');
      expect(code).toBe(0);
      return JSON.parse(stdout) as FleetSnapshot;
    };
    let snapshot = await look();
    // The documents leave at most twice a second.
    while (snapshot.totals.cameras === 0) snapshot = await look();
    expect(snapshot).toMatchObject({
      totals: { stations: 1, states: { online: 1 }, cameras: 1 },
      stations: [{ station: 'station', state: 'online', bays: { refused: 1, empty: 1 } }],
      posts: [{ quota: 0, refused: 1 }],
    });
    const byScript = await run(...monitor, ...broker, '--once');
    expect(byScript.stdout).toContain('department/post/station');
    expect(byScript.stdout).toContain('1 online');
    const filtered = await run(...dockctl, ...broker, '--state', 'lost', '--once');
    expect(filtered.stdout).toContain('none heard yet');
  });

  test('is a live table on a terminal: it sees a station go and ends in order with Ctrl-C', async () => {
    await using broker = await startEmbeddedBroker(0);
    const url = `mqtt://127.0.0.1:${broker.port}`;
    await using station = new ReportingStation();
    station.start(url);
    const terminal = spawnInPty(process.execPath, [...dockctl, '--broker', url], { cols: 100, rows: 30 });
    let screen = '';
    terminal.onData((data) => (screen += data));
    const exited = new Promise<number>((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode)));
    const shows = (text: string): boolean => stripVTControlCharacters(screen).includes(text);
    try {
      await until('the station', () => shows('1 online'));
      screen = '';
      await station.stop();
      await until('the station gone', () => shows('1 offline'));
      terminal.write('\u0003');
      expect(await exited).toBe(130);
    } finally {
      terminal.kill('SIGKILL');
    }
  });

  test('tells changes line by line, as JSON too', async () => {
    await using broker = await startEmbeddedBroker(0);
    const url = `mqtt://127.0.0.1:${broker.port}`;
    await using program = new Program([...dockctl, '--broker', url, '--follow', '--json']);
    await using station = new ReportingStation();
    station.start(url);
    await until('online', () => program.out.includes('"what":"online"'));
    await station.stop();
    await until('offline', () => program.out.includes('"what":"offline"'));
    program.interrupt();
    const { code, stdout } = await program.ended;
    expect(code).toBe(130);
    const lines = stdout.trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { what: string }).what).at(-1)).toBe('offline');
  });

  test('says what to do when the broker is away, and which addresses it takes', async () => {
    const away = await run(...dockctl, '--broker', 'mqtt://127.0.0.1:1', '--once');
    expect(away).toMatchObject({ code: 1, stdout: '' });
    expect(away.stderr).toContain('[fleet.broker-away]');
    expect(away.stderr).toContain('ECONNREFUSED');
    expect(away.stderr).toContain('Now: Check the address');
    const wrong = await run(...dockctl, '--broker', 'http://127.0.0.1', '--once');
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('mqtts://broker.example:8883');
    const leaked = await run(...dockctl, '--broker', 'mqtt://me:secret@127.0.0.1', '--once');
    expect(leaked.stderr).toContain('--password-file');
  });
});

describe('dockctl fleet check', () => {
  test('proves that nothing is missing, while the connection of the station is cut again and again', async () => {
    await using broker = await startEmbeddedBroker(0);
    const url = `mqtt://127.0.0.1:${broker.port}`;
    await using station = new ReportingStation();
    await using program = new Program([...dockctl, 'check', '--broker', url, '--events', '60', '--json']);
    // Whoever is not subscribed yet hears nothing: recorded until it has what it waits for.
    for (let round = 0; program.out === ''; round++) {
      if (round > 200) throw new Error('the check does not end');
      station.start(url);
      station.record(10);
      await until('delivered', () => station.outbox.depth() === 0);
      await station.stop();
    }
    const { code, stdout, stderr } = await program.ended;
    expect(stderr).toBe('');
    const report = JSON.parse(stdout) as CheckReport;
    expect(report).toMatchObject({ isProven: true, stations: 1, gaps: [], outOfOrder: 0 });
    expect(report.events).toBeGreaterThanOrEqual(60);
    expect(code).toBe(0);
  });

  test('ends with 6 and names the range where events of a station never came', async () => {
    await using broker = await startEmbeddedBroker(0);
    const url = `mqtt://127.0.0.1:${broker.port}`;
    await using station = new ReportingStation();
    station.start(url);
    await using program = new Program([...dockctl, 'check', '--broker', url, '--events', '20']);
    for (let round = 0; program.out === ''; round++) {
      if (round > 200) throw new Error('the check does not end');
      station.record(3);
      await until('delivered', () => station.outbox.depth() === 0);
      // As if the broker had acknowledged them and lost them.
      station.db.transaction(() => {
        station.record(2);
        station.outbox.acknowledge(station.outbox.unacknowledged(2).map(({ seq }) => seq));
      });
    }
    const { code, stdout } = await program.ended;
    expect(code).toBe(6);
    expect(stdout).toContain('Not whole.');
    expect(stdout).toMatch(/d\/p\/s +\d+ +\d+/);
  });
});
