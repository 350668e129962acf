// What the service manager sees of the agent: it is told the truth about whether all of it goes round, why it cannot
// start, and it gets the process back in time, whatever hangs.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../dock/host/system-clock.ts';
import type { Camera } from '../../dock/camera/camera.ts';
import type { AgentHost } from '../../agent/agent-host.ts';
import { limitLog } from '../../agent/log-limit.ts';
import type { Log } from '../../agent/log.ts';
import { stopInOrder } from '../../agent/service/orderly-stop.ts';
import { Progress } from '../../agent/service/progress.ts';
import { StartFailures } from '../../agent/service/start-failures.ts';
import type { Supervisor } from '../../agent/service/supervisor.ts';
import { systemdSupervisor } from '../../agent/service/systemd.ts';
import { watchOver } from '../../agent/service/watch-over.ts';
import { nextCount } from '../../agent/state/counters.ts';
import { Database } from '../../agent/state/database.ts';
import { quickBay, quickCamera } from '../support/quick-bay.ts';
import { storeOf } from '../support/recordings.ts';
import { TestStation } from '../support/test-station.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dock-service-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What was said to the supervisor, in order. */
function recorder(watchdogMs?: number): Supervisor & { readonly said: string[] } {
  const said: string[] = [];
  return {
    said,
    watchdogMs,
    ready: () => void said.push('ready'),
    alive: () => void said.push('alive'),
    stopping: () => void said.push('stopping'),
    status: (line) => void said.push(`status: ${line}`),
  };
}

/** What was logged, in order, as `level event`; facts beside it. */
function logged(): Log & { readonly lines: { line: string; facts: object }[] } {
  const lines: { line: string; facts: object }[] = [];
  const write =
    (level: string) =>
    (event: string, facts: object = {}) =>
      void lines.push({ line: `${level} ${event}`, facts });
  return { lines, info: write('info'), warn: write('warn'), error: write('error') };
}

describe('the watchdog', () => {
  /** Three rounds of it, after `before` has set the scene. */
  async function rounds(before: (parts: { clock: VirtualClock; bay: Progress; db: Database }) => void) {
    const clock = new VirtualClock();
    const db = new Database(join(mkdtempSync(join(folder, 'watch-')), 'station.db'));
    nextCount(db, 'boot');
    const bay = new Progress('bay 1', clock);
    const supervisor = recorder(60_000);
    const log = logged();
    const stopping = new AbortController();
    before({ clock, bay, db });
    let left = 3;
    const counting = {
      ...supervisor,
      status: (line: string) => {
        supervisor.status(line);
        if (--left === 0) stopping.abort();
      },
    };
    const parts = { supervisor: counting, clock, log, db, loops: [bay], statusLine: () => 'all is well' };
    await watchOver(parts, stopping.signal);
    return { said: supervisor.said, lines: log.lines };
  }

  test('is fed while every loop keeps its word', async () => {
    const { said, lines } = await rounds(({ bay }) => bay.within(60_000));
    expect(said).toEqual(Array(3).fill(['alive', 'status: all is well']).flat());
    expect(lines).toEqual([]);
  });

  test('is fed while a loop waits on purpose, however long', async () => {
    const { said } = await rounds(({ bay, clock }) => {
      bay.within(Infinity);
      clock.pass(1e12);
    });
    expect(said).toContain('alive');
  });

  test('is not fed once a loop is late by its own word, which is named once', async () => {
    const { said, lines } = await rounds(({ bay }) => bay.within(15_000));
    const stuck = 'status: Stuck, to be restarted: bay 1';
    expect(said).toEqual(['alive', 'status: all is well', 'alive', 'status: all is well', stuck]);
    expect(lines).toEqual([{ line: 'warn agent-stuck', facts: { stuck: 'bay 1' } }]);
  });

  test('is not fed when the database does not answer', async () => {
    const { said } = await rounds(({ db }) => db[Symbol.dispose]());
    expect(said).toEqual(Array(3).fill('status: Stuck, to be restarted: database'));
  });
});

describe('a whole station', () => {
  test('is ready once, alive while cameras are emptied, and says in a line how it is', async () => {
    const supervisor = recorder(300);
    await using station = await TestStation.start({ host: { lookIntoBay: quickBay, supervisor } });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: storeOf({ 'A.MP4': 5000 }).store }));
    await station.until('told', async () =>
      supervisor.said.includes('status: 1 bays: 1 ready; broker connected'),
    );
    await station.stop();
    expect(supervisor.said.filter((said) => said === 'ready')).toHaveLength(1);
    expect(supervisor.said.filter((said) => said === 'alive').length).toBeGreaterThan(2);
    expect(supervisor.said.at(-1)).toBe('stopping');
  });

  test('names the bay that hangs in a look, and starves the watchdog', async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
    const supervisor = recorder(300);
    const looked = Promise.withResolvers<void>();
    await using station = await TestStation.start({
      host: {
        clock,
        supervisor,
        lookIntoBay: (_bay, signal) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
            looked.resolve();
          }),
      },
    });
    await looked.promise;
    aheadMs = 3_600_000;
    await station.until(
      'starved',
      async () => supervisor.said.at(-1) === 'status: Stuck, to be restarted: bay 1',
    );
    const before = supervisor.said.filter((said) => said === 'alive').length;
    supervisor.said.length = 0;
    await station.until('told again', async () => supervisor.said.length > 2);
    expect(before).toBeGreaterThan(0);
    expect(supervisor.said).not.toContain('alive');
  });

  test('does not take a pull of hours for a hang', async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
    const supervisor = recorder(150);
    const lookIntoBay: AgentHost['lookIntoBay'] = async (bay, signal) => {
      const content = await quickBay(bay, signal);
      if (content.kind !== 'camera') return content;
      const read = content.camera.read.bind(content.camera);
      // Four minutes pass with each chunk, and the watchdog has a look.
      const slowRead: Camera['read'] = async function* (recording, offset, until) {
        for await (const chunk of read(recording, offset, until)) {
          aheadMs += 240_000;
          const told = supervisor.said.length;
          while (supervisor.said.length < told + 3) await systemClock.sleep(5, until);
          yield chunk;
        }
      };
      return { kind: 'camera', camera: Object.assign(content.camera, { read: slowRead }) };
    };
    await using station = await TestStation.start({ host: { clock, supervisor, lookIntoBay } });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: storeOf({ 'A.MP4': 40_000 }).store }));
    await station.untilPhase(1, 'ready');
    expect(aheadMs).toBeGreaterThan(3_600_000);
    // The reporter sleeps real time, so these hours are long for it.
    expect(supervisor.said.filter((said) => /Stuck.*bay/.test(said))).toEqual([]);
  });

  test('stops while a bay hangs for good, and no second call does it twice', async () => {
    const looked = Promise.withResolvers<void>();
    const supervisor = recorder();
    const log = logged();
    await using station = await TestStation.start({
      host: {
        supervisor,
        log,
        lookIntoBay: () => {
          looked.resolve();
          return new Promise(() => undefined);
        },
      },
    });
    await looked.promise;
    await Promise.all([station.agent.stop(), station.agent.stop()]);
    expect(log.lines.filter(({ line }) => line === 'warn stop-overdue')).toHaveLength(1);
    expect(supervisor.said.filter((said) => said === 'stopping')).toHaveLength(1);
  });
});

test('an orderly stop takes every step, past those that hang or fail', async () => {
  const log = logged();
  const taken: string[] = [];
  const step = (what: string, run: () => Promise<unknown>) => ({
    what,
    ms: 1000,
    run: () => {
      taken.push(what);
      return run();
    },
  });
  await stopInOrder(
    [
      step('hangs', () => new Promise(() => undefined)),
      step('fails', () => Promise.reject(new Error('disk full'))),
      step('works', async () => undefined),
    ],
    new VirtualClock(),
    log,
  );
  expect(taken).toEqual(['hangs', 'fails', 'works']);
  expect(log.lines.map(({ line }) => line)).toContain('warn stop-overdue');
});

test('the delay after failed starts grows to five minutes, and starts afresh after one that worked', () => {
  const state = mkdtempSync(join(folder, 'failures-'));
  // Each process is a new one.
  const failed = (): number => new StartFailures(state).failed();
  const delays = Array.from({ length: 9 }, failed);
  expect(delays.map((ms) => ms / 1000)).toEqual([0, 10, 20, 40, 80, 160, 300, 300, 300]);
  new StartFailures(state).succeeded();
  expect(failed()).toBe(0);
});

test('a damaged count of failed starts is no count', () => {
  const state = mkdtempSync(join(folder, 'failures-'));
  writeFileSync(join(state, 'failed-starts'), '-1e99 bottles');
  expect(new StartFailures(state).failed()).toBe(0);
});

describe('a storm of one event', () => {
  test('leaves twenty lines a minute, and the next one says how many are missing', () => {
    const clock = new VirtualClock();
    const log = logged();
    const limited = limitLog(log, clock);
    for (let count = 0; count < 1000; count++) limited.warn('broker-lost');
    expect(log.lines).toHaveLength(20);
    clock.pass(60_000);
    limited.warn('broker-lost');
    expect(log.lines.at(-1)).toEqual({ line: 'warn broker-lost', facts: { unlogged: 980 } });
  });

  test('of one bay does not silence another bay, nor another event', () => {
    const log = logged();
    const limited = limitLog(log, new VirtualClock());
    for (let count = 0; count < 1000; count++) limited.info('session-finished', { bay: 1 });
    limited.info('session-finished', { bay: 2 });
    limited.error('bay-failed', { bay: 1 });
    expect(log.lines.slice(20).map(({ line }) => line)).toEqual([
      'info session-finished',
      'error bay-failed',
    ]);
  });
});

describe('the agent as a process', () => {
  const main = resolve(import.meta.dirname, '../../agent/main.ts');

  test('says why it cannot start, in the terms of the error catalogue', async () => {
    const config = join(folder, 'wrong.toml');
    writeFileSync(config, '[station]\nname = 5\n');
    const child = spawn(process.execPath, [main, '--config', config], { env: {} });
    const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    expect(said).toMatch(/^dock-agent: .*wrong\.toml:2: station\.name: .*\[config\.invalid\]/ms);
    expect(code).toBe(1);
  });

  test('marks its log lines with their priority where the journal reads them, and nowhere else', async () => {
    const config = join(folder, 'empty.toml');
    writeFileSync(config, '[state]\nfolder = "/dev/null/state"\n');
    const log = join(folder, 'journal');
    const stderr = openSync(log, 'a');
    const { dev, ino } = fstatSync(stderr);
    for (const stream of [`${dev}:${ino}`, '1:1']) {
      const env = { JOURNAL_STREAM: stream, NOTIFY_SOCKET: '/nonexistent' };
      const args = [main, '--config', config];
      const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', stderr] });
      await once(child, 'exit');
    }
    closeSync(stderr);
    const lines = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('start-failed'));
    expect(lines[0]).toMatch(/^<3>\{.*"code":"state.unusable"/);
    expect(lines[1]).toMatch(/^\{.*"code":"state.unusable"/);
  });

  test('without a service manager to tell nobody is told', async () => {
    const supervisor = await systemdSupervisor({});
    expect(supervisor.watchdogMs).toBeUndefined();
  });
});
