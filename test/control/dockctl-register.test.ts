// The register by hand, and its audit, with the real dockctl against the real agent.
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Monitor } from '../report/monitor.ts';
import { runDockctl, type DockctlOutcome } from '../support/dockctl.ts';
import { TestStation } from '../support/test-station.ts';

const dockctl = (station: TestStation, ...args: string[]): Promise<DockctlOutcome> =>
  runDockctl(station.folder, '--socket', station.agent.socketPath, ...args);

test('a camera takes the place of another where the quota is full, and nothing else gets in', async () => {
  await using station = await TestStation.start();
  for (let n = 1; n <= 5; n++) await dockctl(station, 'enrol', `BC-${n}`);
  expect(await dockctl(station, 'enrol', 'BC-6')).toMatchObject({ code: 3 });
  const replaced = await dockctl(station, '--lang', 'en', 'replace', 'BC-1', 'BC-6', 'end-of-service-life');
  expect(replaced).toMatchObject({
    code: 0,
    stdout: 'BC-6 is enrolled in the place of BC-1, which is retired. 5 of 5 places are taken.\n',
  });
  expect(await dockctl(station, 'replace', 'BC-1', 'BC-7', 'lost')).toMatchObject({ code: 1 });
  expect(await dockctl(station, 'replace', 'BC-6', 'bc-6', 'lost')).toMatchObject({ code: 1 });
  expect((await dockctl(station, 'transfer', 'BC-6', 'almaty/khorgos')).stderr).toContain(
    'enrolment.own-register',
  );
  expect((await dockctl(station, 'transfer', 'BC-6', 'khorgos')).stderr).toContain('department/post');
});

test('the day of commissioning is taken from who enrols, and a service life that is over is an alarm', async () => {
  await using station = await TestStation.start();
  await using monitor = await Monitor.on(station.agent.brokerUrl);
  expect((await dockctl(station, 'enrol', 'BC-1', '--commissioned', '2021-02-30')).code).toBe(1);
  expect((await dockctl(station, 'enrol', 'BC-1', '--commissioned', '2015-06-01')).code).toBe(0);
  const { stdout } = await dockctl(station, '--json', 'cameras');
  expect(JSON.parse(stdout)).toMatchObject({
    cameras: [{ serialNumber: 'BC-1', commissionedOn: '2015-06-01', serviceEndsOn: '2022-06-01' }],
  });
  await station.restart();
  const due = (await station.events()).filter(({ type }) => type === 'service-life-due');
  expect(due.map(({ data }) => data)).toMatchObject([{ serialNumber: 'BC-1', months: 0 }]);
  await using _later = await Monitor.on(station.agent.brokerUrl);
  await _later.until('the alarm', () => _later.on('/alarm/camera.service-life-over').length > 0);
  expect((await dockctl(station, 'cameras')).stdout).toMatch(/BC-1 +enrolled, SERVICE LIFE OVER/);
  expect(monitor.on('/quota').length).toBeGreaterThan(0);
});

test('the audit shows, exports and proves every act, and notices a change of any', async () => {
  await using station = await TestStation.start();
  await dockctl(station, 'enrol', 'BC-1', '--reason', '=cmd|"calc"');
  await dockctl(station, 'retire', 'BC-1', 'broken', '--note', 'lens, cracked');
  await dockctl(station, 'enrol', 'BC-2');
  const shown = await dockctl(station, '--lang', 'en', 'audit', '--camera', 'BC-1');
  expect(shown.stdout).toMatch(/ 1 .* enrolled +BC-1 .*\n.* 2 .* retired +BC-1 .*broken: lens, cracked/);
  expect(shown.stdout).not.toContain('BC-2');
  const { records } = JSON.parse((await dockctl(station, '--json', 'audit', '--act', 'enrolled')).stdout) as {
    records: { number: number; hash: string }[];
  };
  expect(records.map(({ number }) => number)).toEqual([1, 3]);
  const csv = (await dockctl(station, 'audit', '--csv')).stdout.split('\r\n');
  expect(csv).toHaveLength(5);
  expect(csv[1]).toContain(`"'=cmd|""calc"""`);
  expect(csv[2]).toContain('"lens, cracked"');

  const kept = `3:${records[1]?.hash}`;
  expect(await dockctl(station, 'audit', 'verify', '--kept', kept)).toMatchObject({ code: 0 });
  const other = `3:${'0'.repeat(64)}`;
  expect(await dockctl(station, 'audit', 'verify', '--kept', other)).toMatchObject({ code: 4 });

  await station.stop();
  const db = new DatabaseSync(join(station.folder, 'station.db'));
  expect(() => db.exec('DELETE FROM audit WHERE number = 2')).toThrow('the audit is kept');
  expect(() => db.exec("UPDATE audit SET record = replace(record, 'BC-1', 'BC-9')")).toThrow('not changed');
  db.exec(
    "DROP TRIGGER audit_is_not_changed; UPDATE audit SET record = replace(record, 'broken', 'lost') WHERE number = 2",
  );
  db.close();
  await station.restart();
  const found = await dockctl(station, '--json', 'audit', 'verify');
  expect(found.code).toBe(4);
  expect(JSON.parse(found.stdout)).toMatchObject({
    isWhole: false,
    problem: expect.stringContaining('record 2'),
  });
});

test('the department has one computer by the norm, and the fleet tells the age of everything enrolled', async () => {
  await using station = await TestStation.start();
  expect(await dockctl(station, 'enrol', 'PC-1', '--computer', '--commissioned', '2018-05-01')).toMatchObject(
    {
      code: 0,
      stdout: 'PC-1 is enrolled. 1 of 1 places are taken.\n',
    },
  );
  const second = await dockctl(station, 'enrol', 'PC-2', '--computer');
  expect(second).toMatchObject({
    code: 3,
    stdout: expect.stringMatching(/1 of 1 sets are taken, .*item 2,/),
  });
  await dockctl(station, 'enrol', 'BC-1', '--commissioned', '2025-03-31');
  await dockctl(station, 'enrol', 'BC-2');

  const { stdout } = await dockctl(station, '--json', 'fleet');
  const year = new Date().getUTCFullYear();
  expect(JSON.parse(stdout)).toMatchObject({
    sets: [
      { item: 'computer', serialNumber: 'PC-1', serviceEndsOn: '2025-05-01', isOver: true },
      { item: 'camera', serialNumber: 'BC-1', commissionedOn: '2025-03-31', serviceEndsOn: '2032-03-31' },
      { item: 'camera', serialNumber: 'BC-2', ageMonths: 0, isOver: false },
    ],
    calendar: expect.arrayContaining([
      { year, cameras: 0, computers: 1 },
      { year: 2032, cameras: 1, computers: 0 },
    ]),
  });
  expect((await dockctl(station, 'fleet')).stdout).toMatch(
    /PC-1 +computer +2018-05-01 .* 2025-05-01 +SERVICE LIFE OVER/,
  );
  expect((await dockctl(station, '--lang', 'ru', 'norm', '--record', '2')).stdout).toMatch(
    /Компьютеру PC-2 отказано\.(.|\n)*Пункт 2 нормы(.|\n)*пункт 2, в редакции/,
  );
  expect(
    await dockctl(station, 'replace', 'PC-1', 'PC-2', 'end-of-service-life', '--computer'),
  ).toMatchObject({
    code: 0,
  });
  expect(await dockctl(station, 'retire', 'PC-2', 'broken')).toMatchObject({ code: 1 });
  expect(await dockctl(station, 'retire', 'PC-2', 'broken', '--computer')).toMatchObject({ code: 0 });
  expect((await dockctl(station, 'norm', '40', '--on', '2020-01-01')).stderr).toContain(
    'norm.unknown-edition',
  );
});
