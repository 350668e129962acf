import { once } from 'node:events';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RecordingsAnswer } from '../../agent/cli/answers.ts';
import { explainConfig } from '../../agent/config/explain.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { errorCatalogue } from '../../protocol/error-catalogue.ts';
import { runDockctl, startDockctl, type DockctlOutcome } from '../support/dockctl.ts';
import { storeOf } from '../support/recordings.ts';
import { TestStation } from '../support/test-station.ts';

// dockctl as technicians and scripts use it: the real program against a real agent. With --json it prints JSON on
// standard output, whatever happens, and its exit codes say what came of it.

/** What could move the cursor, ring, retitle the window or turn the direction of text, given by a camera. */
const hostile = '\u001b[2J\u0007\u009b31m\u202e\u001b]0;x\u0007';
const drivesTerminal = /(?!\n)[\p{Cc}\p{Cf}]/u;

let station: TestStation;
let folder: string;

beforeAll(async () => {
  station = await TestStation.start({ bays: 2 });
  folder = mkdtempSync(join(tmpdir(), 'dock-cli-'));
  const first = storeOf({ 'A.MP4': 3000, 'B.MP4': 10, 'C.MP4': 0 });
  const second = storeOf({ [`/DCIM/${hostile}.MP4`]: 5 });
  const fine = { clockResolutionMs: 1 };
  station.plug(1, sampleCamera({ ...fine, serialNumber: 'BC-1', store: first.store }, systemClock));
  const model = `Model ${hostile}`;
  station.plug(2, sampleCamera({ ...fine, serialNumber: 'BC-2', store: second.store, model }, systemClock));
  await station.untilPhase(1, 'ready');
  await station.untilPhase(2, 'ready');
});
afterAll(async () => {
  await station[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const start = (...args: string[]) => startDockctl(folder, ...args);
const run = (...args: string[]) => runDockctl(folder, ...args);

/** Against the station. */
const dockctl = (...args: string[]): Promise<DockctlOutcome> =>
  run('--socket', station.agent.socketPath, ...args);

/** Against the station, with --json: what was printed. */
async function json<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const { stdout, stderr, code } = await dockctl(...args, '--json');
  expect([stderr, code]).toEqual(['', 0]);
  return JSON.parse(stdout) as T;
}

describe('dockctl', () => {
  test.each([
    ['status', /All bays are well/, { version: expect.any(String), recordings: 4, boot: 1 }],
    [
      'bays',
      /BC-1\s+ready/,
      {
        bays: [
          { bay: 1, phase: 'ready' },
          { bay: 2, phase: 'ready' },
        ],
      },
    ],
    [
      'cameras',
      /BC-1\s+enrolled/,
      { cameras: [{ serialNumber: 'BC-1', recordings: 3 }, { serialNumber: 'BC-2' }] },
    ],
    ['sessions', /BC-1\s+complete\s+3/, { sessions: [{ outcome: 'complete' }, { outcome: 'complete' }] }],
    ['quota', /2 of 5 cameras enrolled/, { headcount: 40, quota: 5, enrolled: 2, row: 1 }],
    ['recordings', /\/DCIM\/A\.MP4/, { vault: expect.any(String) }],
    ['verify', /4 intact, 0 damaged, 0 missing/, { checked: 4, intact: 4, problems: [] }],
  ])('%s tells people and scripts the same', async (command, shown, printed) => {
    const { stdout, stderr, code } = await dockctl(command);
    expect(stdout).toMatch(shown);
    expect([stderr, code]).toEqual(['', 0]);
    expect(await json(command)).toMatchObject(printed);
  });

  test.each(['status', 'bays', 'cameras', 'recordings', 'sessions'])(
    '%s --json tells times as ISO 8601 in UTC',
    async (command) => {
      const times: unknown[] = [];
      JSON.stringify(await json(command), (key, value: unknown) => {
        if (/At$|^since$/.test(key) && value !== null) times.push(value);
        return value;
      });
      for (const time of times) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(times.length).toBeGreaterThan(0);
    },
  );

  test('recordings pages through what is stored, newest first', async () => {
    const all = (await json<RecordingsAnswer>('recordings')).recordings.map(({ id }) => id);
    const first = await json<RecordingsAnswer>('recordings', '--limit', '3');
    expect(first.recordings.map(({ id }) => id)).toEqual(all.slice(0, 3));
    const rest = await json<RecordingsAnswer>('recordings', '--before', all[2] ?? '');
    expect(rest.recordings.map(({ id }) => id)).toEqual(all.slice(3));
    const ofOne = await json<RecordingsAnswer>('recordings', '--camera', 'bc-2');
    expect(ofOne.recordings).toMatchObject([{ serialNumber: 'BC-2', sizeBytes: 5 }]);
  });

  test('lets no text of a camera drive the terminal, and gives it unchanged to scripts', async () => {
    for (const command of ['status', 'cameras', 'recordings', 'events', 'verify']) {
      for (const args of [[command], [command, '--json']]) {
        const { stdout, stderr } = await dockctl(...args);
        expect(stdout + stderr, args.join(' ')).not.toMatch(drivesTerminal);
      }
    }
    const { recordings } = await json<RecordingsAnswer>('recordings', '--camera', 'BC-2');
    expect(recordings[0]?.path).toBe(`/DCIM/${hostile}.MP4`);
  });

  test('events shows the past as lines, JSON lines with --json', async () => {
    const { stdout } = await dockctl('events', '--after', '0', '--limit', '3', '--json');
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { seq: number }).seq)).toEqual([1, 2, 3]);
    expect((await dockctl('events', '--after', '0', '--limit', '1')).stdout).toMatch(
      /1 {2}agent-started .*bootNumber=1\n$/,
    );
  });

  test('enrol and retire say what came of it, and a refusal by a rule is exit code 3', async () => {
    for (const serial of ['N1', 'N2', 'N3']) {
      expect(await json('enrol', serial, '--reason', 'delivery')).toMatchObject({
        kind: 'enrolled',
        isNew: true,
      });
    }
    expect((await dockctl('enrol', 'n1')).stdout).toMatch(/N1 was enrolled already\. 5 of 5/);
    const refused = await dockctl('enrol', 'N4');
    expect(refused).toMatchObject({ code: 3, stderr: '' });
    expect(refused.stdout).toMatch(/N4 is refused: .* 5 of 5 .* headcount 40, row 1 of Order .* No\. 1358/);
    const asJson = await dockctl('enrol', 'N4', '--json');
    expect([asJson.code, JSON.parse(asJson.stdout)]).toMatchObject([3, { code: 'enrolment.quota-full' }]);

    const retired = await dockctl('retire', 'N1', 'broken', '--note', 'lens');
    expect(retired).toMatchObject({ code: 0, stdout: 'N1 is retired. 4 of 5 places are taken.\n' });
    expect(await json('retire', 'N2', 'lost')).toMatchObject({ retired: true, usage: { enrolled: 3 } });
    expect(await dockctl('retire', 'ZZ', 'lost')).toMatchObject({ code: 1, stdout: '' });
    expect((await dockctl('retire', 'N3', 'sold')).code).toBe(1);
    const events = (await station.events()).filter(({ data }) => data['serialNumber'] === 'N1');
    expect(events.map(({ type, data }) => [type, data['reason'] ?? data['note']])).toEqual([
      ['camera-enrolled', 'delivery'],
      ['camera-retired', 'lens'],
    ]);
  });

  test('verify finds files that are damaged or missing: exit code 4', async () => {
    const { recordings, vault } = await json<RecordingsAnswer>('recordings', '--camera', 'BC-1');
    const pathOf = (name: string): string =>
      join(vault, recordings.find(({ path }) => path.endsWith(name))?.storedPath ?? name);
    appendFileSync(pathOf('A.MP4'), 'x');
    rmSync(pathOf('B.MP4'));
    const forPeople = await dockctl('verify');
    expect(forPeople).toMatchObject({ code: 4, stderr: '' });
    expect(forPeople.stdout).toMatch(/vault\.file-damaged .*A-.*\.MP4/);
    expect(forPeople.stdout).toMatch(/vault\.file-missing .*B-.*\.MP4/);
    expect(forPeople.stdout).toMatch(/4 recordings read back .*: 2 intact, 1 damaged, 1 missing/);
    const { code, stdout } = await dockctl('--json', 'verify', '--camera', 'BC-1');
    expect(code).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({ checked: 3, intact: 1, damaged: 1, missing: 1 });
    expect((await dockctl('verify', '--camera', 'BC-2')).code).toBe(0);
    const problems = (await station.events()).filter(({ type }) => type === 'vault-problem');
    expect(problems).toHaveLength(4);
  });

  test('events --follow shows what happens as it happens, and ends well on SIGINT', async () => {
    const child = start('--socket', station.agent.socketPath, 'events', '--follow', '--json', '--limit', '1');
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    const stderr = text(child.stderr);
    await station.until('the past', async () => stdout.includes('\n'));
    await station.ask('enrol', { serialNumber: 'FOLLOWED', by: 'test' });
    await station.until('the new event', async () => stdout.includes('FOLLOWED'));
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await stderr).toBe('');
    for (const line of stdout.trimEnd().split('\n')) JSON.parse(line);
  });

  test('events --follow ends well, with the last event, when the agent is stopped in order', async () => {
    await using other = await TestStation.start({ bays: 0 });
    const child = start('--socket', other.agent.socketPath, 'events', '--follow', '--json');
    const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    await other.stop();
    expect([await stderr, await exit]).toEqual(['', [0, null]]);
    const lines = (await stdout).trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ type: 'agent-stopping' });
  });

  test('takes a closed pipe as enough seen', async () => {
    const child = start('--socket', station.agent.socketPath, 'events', '--follow');
    const stderr = text(child.stderr);
    await once(child.stdout, 'data');
    child.stdout.destroy();
    await station.ask('enrol', { serialNumber: 'UNSEEN', by: 'test' });
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await stderr).toBe('');
  });

  test('finds the agent by its configuration file', async () => {
    const file = join(folder, 'station.toml');
    writeFileSync(file, `[state]\nfolder = ${JSON.stringify(station.folder)}\n`);
    expect((await run('--config', file, 'quota', '--json')).code).toBe(0);
    expect((await run('quota', '--config', file)).stdout).toMatch(/cameras enrolled/);
  });

  test('without an agent says so with code and next step: exit code 2', async () => {
    const { code, stdout, stderr } = await run('status', '--json', '--socket', join(folder, 'nothing.sock'));
    expect(code).toBe(2);
    const { error } = JSON.parse(stdout) as { error: Record<string, string> };
    expect(error).toMatchObject({
      code: 'control.agent-down',
      nextStep: expect.stringMatching(/systemctl start/),
    });
    expect(stderr).toMatch(/control\.agent-down.*\nNow: Start it/);
    expect((await run('events', '--follow', '--socket', join(folder, 'nothing.sock'))).code).toBe(2);
  });

  test.each(['status', 'verify', 'events'])(
    'whose agent dies while it answers %s does not call that an answer',
    async (command) => {
      const path = join(folder, `dying-${command}.sock`);
      const item = JSON.stringify({ kind: 'progress', done: 1, total: 2, what: 'recordings' });
      const server = createServer((_request, response) => {
        response.write(`${item}\n{"kind":"res`, () => response.destroy());
      }).listen(path);
      await once(server, 'listening');
      const { code, stdout } = await run(command, '--json', '--socket', path);
      expect([code, JSON.parse(stdout)]).toMatchObject([2, { error: { code: 'control.agent-down' } }]);
      server.close();
    },
  );
});

describe('dockctl without an agent', () => {
  test.each([
    [0, 0, 0],
    [400, 40, 5],
    [401, 50, 6],
  ])('norm %i is %i cameras by row %i', async (headcount, quota, row) => {
    const { code, stdout } = await run('norm', String(headcount), '--json');
    expect(code).toBe(0);
    const citation = expect.stringMatching(/No\. 1358/);
    expect(JSON.parse(stdout)).toMatchObject({ headcount, quota, row, citation });
  });

  test('norm tells people the number, the row and the act', async () => {
    expect((await run('norm', '400')).stdout).toMatch(
      /^A post of 400 may have 40 sets .*\nRow 5 of the norm: from 300 to 400 .*\nOrder .* No\. 1358/,
    );
    expect((await run('norm', '0')).stdout).toMatch(/without workers .* 0 sets/);
  });

  test.each(['-1', '1.5', 'abc', '1e7', '10000000', '', '0x10', ' '])(
    'norm %j is no headcount',
    async (headcount) => {
      const { code, stdout, stderr } = await run('norm', headcount, '--json');
      expect(code).toBe(1);
      expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'control.bad-request' } });
      expect(stderr).toMatch(/whole number/);
    },
  );

  test('explain knows every code', async () => {
    const { stdout } = await run('explain', '--json');
    const all = JSON.parse(stdout) as { code: string }[];
    expect(all.map(({ code }) => code)).toEqual(Object.keys(errorCatalogue));
    expect((await run('explain', 'enrolment.quota-full')).stdout).toMatch(
      /^enrolment\.quota-full: .*\nNow: Retire/,
    );
    const unknown = await run('explain', 'no.such', '--json');
    expect([unknown.code, JSON.parse(unknown.stdout)]).toMatchObject([
      1,
      { error: { code: 'control.bad-request' } },
    ]);
  });

  test('config check names every problem with its line, for people and scripts', async () => {
    const bad = join(folder, 'bad.toml');
    writeFileSync(bad, '[post]\nheadcount = -1\n\n[station]\ncolour = "red"\n');
    const forPeople = await run('config', 'check', bad);
    expect(forPeople).toMatchObject({ code: 1, stdout: '' });
    expect(forPeople.stderr).toMatch(/bad\.toml:2: post\.headcount: .*\n.*bad\.toml:5: station\.colour/);
    const problems = [
      { key: 'post.headcount', line: 2 },
      { key: 'station.colour', line: 5 },
    ];
    for (const args of [
      ['--json', 'config', 'check', bad],
      ['config', '--json', 'check', bad],
      ['config', 'check', '--json', bad],
      ['config', 'check', bad, '--json'],
      ['config', 'check', '--config', bad, '--json'],
    ]) {
      const { code, stdout } = await run(...args);
      expect([code, JSON.parse(stdout)], args.join(' ')).toMatchObject([1, { valid: false, problems }]);
    }
    writeFileSync(bad, '[post]\nheadcount = 40\n');
    expect(await run('config', 'check', bad)).toMatchObject({ code: 0, stdout: `${bad}: valid\n` });
    expect(JSON.parse((await run('config', 'check', '--json')).stdout)).toMatchObject({
      valid: true,
      file: null,
    });
    const missing = await run('config', 'check', join(folder, 'none.toml'), '--json');
    expect([missing.code, JSON.parse(missing.stdout)]).toMatchObject([
      1,
      { error: { code: 'config.unreadable' } },
    ]);
  });

  test('config check opens the credentials that the configuration names', async () => {
    const file = join(folder, 'broker.toml');
    writeFileSync(file, '[broker]\nurl = "mqtts://broker.example"\nca_file = "ca.pem"\n');
    const { code, stdout } = await run('config', 'check', file, '--json');
    expect([code, JSON.parse(stdout)]).toMatchObject([
      1,
      { error: { code: 'config.unreadable', message: expect.stringContaining(join(folder, 'ca.pem')) } },
    ]);
    writeFileSync(join(folder, 'ca.pem'), 'any');
    expect(await run('config', 'check', file)).toMatchObject({ code: 0 });
  });

  test('config explain describes every key, or those of a section', async () => {
    const all = JSON.parse((await run('config', 'explain', '--json')).stdout) as { key: string }[];
    expect(all.map(({ key }) => key)).toEqual(explainConfig().map(({ key }) => key));
    const { stdout } = await run('config', 'explain', 'clock');
    expect(stdout).toMatch(
      /^clock\.station_clock\n {4}Whether .*\n {4}string; checked, trusted; default "checked"\n/,
    );
    expect((await run('config', 'explain', 'nothing')).code).toBe(1);
  });

  test.each([
    [['bogus']],
    [['norm']],
    [['recordings', '--limit', 'x']],
    [['status', '--no-such']],
    [['explain', 'a', 'b']],
  ])('called wrongly (%j) says how to call it, as JSON too', async (args) => {
    const { code, stdout, stderr } = await run(...args, '--json');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .*\n\(dockctl --help/);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'control.bad-request' } });
  });

  test('shows its help and version on standard output', async () => {
    const { version } = (await import('../../package.json', { with: { type: 'json' } })).default;
    expect(await run('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    for (const args of [['--help'], ['help'], ['norm', '--help'], ['config', 'check', '--help']]) {
      expect(await run(...args)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Usage: dockctl/) });
    }
  });
});
