// A department sets up the register of its posts and states a headcount; stations of the post take it from there. With
// the programs that people use, and a real PostgreSQL.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runDockctl, type DockctlOutcome } from '../support/dockctl.ts';
import { PostgresServer } from '../support/postgres.ts';
import { TestStation } from '../support/test-station.ts';

const issueAssignment = fileURLToPath(new URL('../../scripts/issue-assignment.ts', import.meta.url));
const hour = 3_600_000;

let server: PostgresServer;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'dock-department-'));
  server = await PostgresServer.start({ fsync: 'off' });
  for (const statement of [
    'CREATE ROLE register_owner LOGIN',
    'CREATE ROLE dock_station NOLOGIN',
    'CREATE DATABASE register OWNER register_owner',
    'CREATE ROLE kordai_1 LOGIN IN ROLE dock_station',
    'CREATE ROLE kordai_2 LOGIN IN ROLE dock_station',
  ])
    await server.query(statement);
  execFileSync(process.execPath, [issueAssignment, 'key', join(folder, 'department.key')]);
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const admin = (...args: string[]): Promise<DockctlOutcome> =>
  runDockctl(folder, 'register', '--url', urlOf('register_owner'), ...args);
const urlOf = (role: string): string => `postgres://${role}@127.0.0.1:${server.port}/register`;

/** The file of an assignment of the post zhambyl/kordai. */
function issue(number: number, headcount: number, validUntil = Date.now() + hour): string {
  const terms = {
    key: join(folder, 'department.key'),
    department: 'zhambyl',
    post: 'kordai',
    headcount: String(headcount),
    number: String(number),
    issuer: 'DSR',
    'valid-from': new Date(Date.now() - 2 * hour).toISOString(),
    'valid-until': new Date(validUntil).toISOString(),
  };
  const flags = Object.entries(terms).flatMap(([name, value]) => [`--${name}`, value]);
  const jws = execFileSync(process.execPath, [issueAssignment, 'sign', ...flags]);
  const file = join(folder, `kordai-${number}.jws`);
  writeFileSync(file, jws);
  return file;
}

test('a department sets up its register, states a headcount by a signed assignment, and its stations keep to it', async () => {
  const key = join(folder, 'department.key.pub');
  const state = (file: string, post = 'zhambyl/kordai') =>
    admin('post', post, '--assignment', file, '--issuer-key', key);

  expect((await admin('show')).stderr).toContain('register.refused');
  expect(await admin('prepare')).toMatchObject({ code: 0, stdout: 'Done: 001-register.sql\n' });
  expect(await admin('prepare')).toMatchObject({ code: 0, stdout: 'The register is up to date.\n' });
  expect((await admin('station', 'zhambyl/kordai/kordai-1', 'kordai_1')).stderr).toContain(
    'enrolment.unknown-post',
  );
  expect(await state(issue(8, 40))).toMatchObject({ code: 0, stdout: 'zhambyl/kordai: headcount 40\n' });
  expect((await state(issue(7, 400))).stderr).toContain('assignment.not-newer');
  expect((await state(issue(9, 400, Date.now() - hour))).stderr).toContain('assignment.expired');
  expect((await state(issue(10, 400), 'zhambyl/merke')).stderr).toContain('assignment.other-post');
  expect((await admin('post', 'zhambyl/kordai', '--assignment', issue(11, 9))).code).toBe(1);

  expect(await admin('station', 'zhambyl/kordai/kordai-1', 'kordai_1')).toMatchObject({ code: 0 });
  expect(await admin('station', 'zhambyl/kordai/kordai-1', 'kordai_1')).toMatchObject({ code: 0 });
  expect((await admin('station', 'zhambyl/kordai/kordai-2', 'kordai_1')).stderr).toContain(
    'register.role-taken',
  );
  expect((await admin('station', 'zhambyl/kordai/kordai-2', 'nobody')).stderr).toContain('register.refused');
  expect(await admin('station', 'zhambyl/kordai/kordai-2', 'kordai_2')).toMatchObject({ code: 0 });

  const at = (name: string, role: string) =>
    TestStation.start({
      config: {
        station: { department: 'zhambyl', post: 'kordai', name },
        register: { url: urlOf(role) },
        post: { issuer_key_file: key },
      },
    });
  await using one = await at('kordai-1', 'kordai_1');
  await using two = await at('kordai-2', 'kordai_2');
  const dockctl = (station: TestStation, ...args: string[]) =>
    runDockctl(station.folder, '--socket', station.agent.socketPath, ...args);
  for (const station of [one, two])
    expect(await dockctl(station, 'assignment', 'install', join(folder, 'kordai-8.jws'))).toMatchObject({
      code: 0,
    });
  for (let n = 1; n <= 5; n++)
    expect(await dockctl(n % 2 ? one : two, 'enrol', `BC-${n}`)).toMatchObject({ code: 0 });
  expect(await dockctl(two, 'enrol', 'BC-6')).toMatchObject({ code: 3 });
  const { posts } = JSON.parse((await admin('--json', 'show')).stdout) as { posts: unknown };
  expect(posts).toEqual([
    {
      department: 'zhambyl',
      post: 'kordai',
      headcount: 40,
      assignmentNumber: 8,
      enrolled: 5,
      quota: 5,
      stations: [
        { name: 'kordai-1', role: 'kordai_1' },
        { name: 'kordai-2', role: 'kordai_2' },
      ],
    },
  ]);
  expect((await dockctl(one, 'audit', 'verify')).code).toBe(0);
  expect(readFileSync(key, 'utf8')).toContain('PUBLIC KEY');
});

test('without a server, a login or a right it says so, and what to do', async () => {
  const away = await runDockctl(folder, 'register', '--url', 'postgres://o@127.0.0.1:1/register', 'show');
  expect(away).toMatchObject({ code: 1 });
  expect(away.stderr).toContain('enrolment.register-unreachable');
  expect((await runDockctl(folder, 'register', '--url', 'mysql://o@h/d', 'show')).stderr).toContain(
    'control.bad-request',
  );
  const station = await runDockctl(folder, 'register', '--url', urlOf('kordai_1'), 'prepare');
  expect(station.stderr).toContain('register.refused');
});
