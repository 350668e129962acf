// The way of a headcount: issued by the department, installed by a technician, followed by the quota and all reports.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AssignmentAnswer, QuotaAnswer } from '../../agent/cli/answers.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { runDockctl, type DockctlOutcome } from '../support/dockctl.ts';
import { storeOf } from '../support/recordings.ts';
import { TestStation } from '../support/test-station.ts';

const script = fileURLToPath(new URL('../../scripts/issue-assignment.ts', import.meta.url));
const issue = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [script, ...args], { cwd: folder }, (error, stdout, stderr) =>
      resolve({ code: error ? 1 : 0, stdout, stderr }),
    );
  });

let folder: string;
let station: TestStation;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'dock-assignment-'));
  await issue('key', 'issuer.pem');
  station = await TestStation.start({
    bays: 2,
    config: {
      station: { department: 'almaty', post: 'kordai', name: 'station-1' },
      post: { headcount: 500, issuer_key_file: join(folder, 'issuer.pem.pub') },
    },
  });
});
afterAll(async () => {
  await station[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const sign = (terms: Record<string, string | number>) =>
  issue(
    'sign',
    ...Object.entries({
      key: 'issuer.pem',
      department: 'almaty',
      post: 'kordai',
      issuer: 'Department',
      'valid-until': '2999-01-01T00:00:00Z',
      ...terms,
    }).flatMap(([name, value]) => [`--${name}`, String(value)]),
  );

const dockctl = (...args: string[]): Promise<DockctlOutcome> =>
  runDockctl(folder, '--socket', station.agent.socketPath, ...args);

async function json<T>(...args: string[]): Promise<T> {
  const { stdout, stderr, code } = await dockctl(...args, '--json');
  expect([stderr, code]).toEqual(['', 0]);
  return JSON.parse(stdout) as T;
}

async function install(terms: Record<string, string | number>): Promise<DockctlOutcome> {
  const { stdout } = await sign(terms);
  writeFileSync(join(folder, 'assignment.jws'), stdout);
  return await dockctl('assignment', 'install', 'assignment.jws');
}

const plug = (bay: number, serialNumber: string): void => {
  const { store } = storeOf({ 'A.MP4': 10 });
  station.plug(bay, sampleCamera({ clockResolutionMs: 1, serialNumber, store }, systemClock));
};

/** Of the alarms that stand now, the codes of the norm. */
const alarms = async (): Promise<string[]> => {
  const open = new Map<string, boolean>();
  for (const { type, data } of await station.events()) {
    if (type === 'alarm-raised') open.set(String(data['code']), true);
    if (type === 'alarm-cleared') open.delete(String(data['code']));
  }
  return [...open.keys()].filter((code) => /^(assignment|enrolment)\./.test(code));
};

describe('the department', () => {
  test('makes a key pair once, and keeps the private key to itself', async () => {
    expect(statSync(join(folder, 'issuer.pem')).mode & 0o777).toBe(0o600);
    const before = readFileSync(join(folder, 'issuer.pem'));
    expect(await issue('key', 'issuer.pem')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/never overwritten/),
    });
    expect(readFileSync(join(folder, 'issuer.pem'))).toEqual(before);
    writeFileSync(join(folder, 'other.pub'), 'taken');
    expect((await issue('key', 'other')).code).toBe(1);
    expect(readFileSync(join(folder, 'other.pub'), 'utf8')).toBe('taken');
    expect(existsSync(join(folder, 'other'))).toBe(false);
  });

  test.each([
    [{ headcount: '-1', number: 1 }, /headcount/],
    [{ headcount: '1.5', number: 1 }, /headcount/],
    [{ headcount: 40 }, /number/],
    [{ headcount: 40, number: 1, 'valid-until': 'tomorrow' }, /validUntil/],
    [{ headcount: 40, number: 1, post: 'a/b' }, /post/],
  ])('signs nothing that no station would take: %j', async (terms, problem) => {
    const { code, stdout, stderr } = await sign(terms);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(problem);
  });
});

describe('a station with an issuer key', () => {
  test('enrols nothing before the first assignment, whatever its configuration says', async () => {
    plug(1, 'BC-1');
    expect(await station.untilPhase(1, 'refused')).toMatchObject({ code: 'enrolment.no-headcount' });
    expect((await dockctl('quota')).stdout).toMatch(/no post assignment is installed/);
    expect((await dockctl('assignment', 'show')).stdout).toMatch(
      /No assignment is in force[^]*assignment\.missing/,
    );
  });

  test('takes the waiting camera as soon as one is installed, and says who stated the headcount', async () => {
    const { code, stdout } = await install({ headcount: 51, number: 1 });
    expect([code, stdout]).toEqual([0, expect.stringMatching(/no\. 1 is in force[^]*0 of 10 cameras/)]);
    await station.untilPhase(1, 'ready');
    const source = {
      headcount: 51,
      headcountSource: 'assignment',
      assignment: { number: 1, issuer: 'Department' },
    };
    expect(await json<QuotaAnswer>('quota')).toMatchObject({ ...source, quota: 10, enrolled: 1 });
    expect(await json<object>('status')).toMatchObject({ quota: source });
    expect((await dockctl('status')).stdout).toMatch(
      /Headcount {4}51, by assignment no\. 1 of Department, valid/,
    );
    expect((await dockctl('assignment', 'show')).stdout).toMatch(/no\. 1 of Department: 51 workers/);
    await station.until('the alarm is over', async () => (await alarms()).length === 0);
  });

  test('refuses one it must not take, with code and next step: exit code 3', async () => {
    const again = await install({ headcount: 400, number: 1 });
    expect(again).toMatchObject({ code: 3, stdout: '' });
    expect(again.stderr).toMatch(/1 is not above 1 \[assignment\.not-newer\]\nNow: /);
    expect(await install({ headcount: 400, number: 2, post: 'khorgos' })).toMatchObject({ code: 3 });
    expect(await dockctl('assignment', 'install', 'nowhere.jws')).toMatchObject({ code: 1 });
    const { inForce, history } = await json<AssignmentAnswer>('assignment', 'show');
    expect(inForce).toMatchObject({ number: 1, headcount: 51 });
    expect(history.map(({ number }) => number)).toEqual([1]);
  });

  test('that has more cameras than a new headcount allows keeps them all, takes none, and says whom to retire', async () => {
    for (let n = 2; n <= 7; n++) await station.ask('enrol', { serialNumber: `BC-${n}`, by: 'aigerim' });
    await install({ headcount: 40, number: 2 });
    await station.until('the alarm', async () => (await alarms()).includes('enrolment.above-quota'));
    const { plan, enrolled, quota } = await json<QuotaAnswer>('quota');
    expect([enrolled, quota, plan.surplus]).toEqual([7, 5, 2]);
    expect(plan.retire.map(({ serialNumber }) => serialNumber)).toEqual(['BC-1', 'BC-2']);
    expect((await dockctl('quota')).stdout).toMatch(/2 more than the norm allows[^]*BC-1[^]*BC-2/);
    expect((await dockctl('enrol', 'BC-8')).code).toBe(3);

    await station.restart();
    await station.untilPhase(1, 'ready');
    expect(await alarms()).toEqual(['enrolment.above-quota']);
    expect(await json<QuotaAnswer>('quota')).toMatchObject({ headcount: 40, enrolled: 7 });
    for (const serial of ['BC-1', 'BC-2']) await dockctl('retire', serial, 'end-of-service-life');
    await station.until('the alarm is over', async () => (await alarms()).length === 0);
    expect((await json<QuotaAnswer>('quota')).plan).toEqual({ surplus: 0, retire: [] });
  });
});
