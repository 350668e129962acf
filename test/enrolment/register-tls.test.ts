// The way to the shared register over TLS: the server proves its name, the station logs in by its certificate.
import {
  chownSync,
  copyFileSync,
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PostgresServer } from '../support/postgres.ts';
import { RegisterDatabase, RegisterStation, type StationOptions } from '../support/register-database.ts';

const certificates = new URL('../support/certificates/', import.meta.url);
const pem = (name: string): Buffer => readFileSync(new URL(name, certificates));
const role = 'station_tls';
const place = { department: 'd', post: 'p' };
const tls = { ca: pem('ca.pem'), cert: pem('station.pem'), key: pem('station.key') };

let folder: string;
let server: PostgresServer;
let database: RegisterDatabase;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'dock-tls-'));
  chmodSync(folder, 0o755);
  for (const name of ['ca.pem', 'server.pem', 'server.key']) {
    copyFileSync(new URL(name, certificates), join(folder, name));
    chmodSync(join(folder, name), 0o600);
    // Who runs PostgreSQL where root may not.
    if (process.getuid?.() === 0) chownSync(join(folder, name), 65534, 65534);
  }
  server = await PostgresServer.start({
    fsync: 'off',
    ssl: 'on',
    ssl_ca_file: join(folder, 'ca.pem'),
    ssl_cert_file: join(folder, 'server.pem'),
    ssl_key_file: join(folder, 'server.key'),
  });
  database = await RegisterDatabase.create(server, 'register_tls');
  await database.statePost(place, 40);
  await database.addStation(place, role);
  const rules = join(server.folder, 'data', 'pg_hba.conf');
  const trusted = readFileSync(rules, 'utf8');
  writeFileSync(rules, `hostssl register_tls ${role} all cert\nhost all ${role} all reject\n${trusted}`);
  await server.query('SELECT pg_reload_conf()');
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function enrolled(options: StationOptions): Promise<unknown> {
  await using station = new RegisterStation(role, database.name, [server.port], {
    patienceMs: 1000,
    ...options,
  });
  return await station.register.enrol({ serialNumber: 'C1', by: 'aigerim', reason: 'delivery' });
}

test('a station that knows the authority and has a certificate is served', async () => {
  expect(await enrolled({ host: 'localhost', tls })).toMatchObject({
    kind: 'enrolled',
    usage: { enrolled: 1 },
  });
});

test.each([
  ['a server of another authority', { host: 'localhost', tls: { ...tls, ca: pem('other-ca.pem') } }],
  ['a server that is not the one that was named', { host: '127.0.0.1', tls }],
  ['a station without a certificate', { host: 'localhost', tls: { ca: tls.ca } }],
  ['a station that speaks without TLS', { host: 'localhost' }],
])('%s: nothing is asked of it, and nothing is enrolled', async (_, options) => {
  expect(await enrolled(options)).toMatchObject({
    kind: 'refused',
    code: 'enrolment.register-unreachable',
  });
});
