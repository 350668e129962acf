// Prints a database of one schema version as SQL: made by the migrations of that version, with rows that a station of
// that version would hold. Run it once for each new version and commit what it prints; never change an old one.
//   node scripts/database-fixture.ts 3 > test/config/databases/v3.sql
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { sha256 } from '../agent/enrolment/audit-chain.ts';
import { applicationId, migrations } from '../agent/state/migrations.ts';

const digest = (letter: string): string => letter.repeat(64);
const session = '01975b7e-2c00-7000-8000-000000000001';
const recording = '01975b7e-2c00-7000-8000-0000000000a1';

/** What each version adds to the rows of the one before. */
const rows: readonly string[] = [
  `
  INSERT INTO counter VALUES ('boot', 7), ('mqtt-session', 12);
  INSERT INTO camera VALUES
    ('BC-1001', 'X2', '1.4.0', 'C', X'${'11'.repeat(32)}', 1763800000000, 1763830000000, 1, '{"batteryPercent":81,"errorCounters":{}}'),
    ('БК-2', '', '', '', NULL, 1763800000000, 1763830000000, 2, NULL);
  INSERT INTO enrolment VALUES
    ('BC-1001', 'enrolled', X'${'11'.repeat(32)}', 1763800000000, 'automatic', 'first docking at this post'),
    ('BC-1002', 'retired', NULL, 1763800000000, 'aigerim', 'broken: lens cracked'),
    ('БК-2', 'refused', NULL, 1763800000000, 'automatic', 'quota full');
  INSERT INTO enrolment_decision VALUES
    (1, 1763800000000, 'BC-1001', 'enrolled', 'automatic', 'first docking at this post', 120, 20, 0, 5, '2024');
  INSERT INTO docking_session VALUES
    ('${session}', 1, 'BC-1001', 1763830000000, 1763830060000, 'complete', NULL, 2, 1, 0, 1, 0, 0, 5000000000, 58000,
     -1250.5, 12.25, 3.5, 'edge', 1763830001000, 4.5, 11.0),
    ('01975b7e-2c00-7000-8000-000000000002', 2, 'БК-2', 1763830000000, NULL, NULL, NULL, 3, 0, 0, 0, 3, 0, 0, 0,
     NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  INSERT INTO recording (id, serial_number, source_key, source_id, path, size_bytes, kind, is_protected, started_at,
    ended_at, sha256, stored_path, stored_at, session_id, clock_offset_ms, clock_uncertainty_ms, clock_drift_ppm,
    clock_method, removed_at) VALUES
    ('${recording}', 'BC-1001', '${digest('a')}', '17', '/DCIM/REC''0001.MP4', 5000000000, 'video', 1, 1763820000000,
     1763823600000, '${digest('b')}', 'BC-1001/2025-11-22/REC_0001-a1.MP4', 1763830050000, '${session}', -1250.5, 12.25,
     3.5, 'edge', NULL);
  INSERT INTO intake VALUES ('${digest('c')}', '01975b7e-2c00-7000-8000-0000000000a2', '${session}',
    '{"id":"18","path":"/DCIM/REC0002.MP4","sizeBytes":900,"kind":"video","isProtected":false}',
    'BC-1001/2025-11-22/REC_0002-a2.MP4', 400, '${digest('d')}');
  INSERT INTO quarantine VALUES
    ('${digest('e')}', 'BC-1001', '/DCIM/REC0003.MP4', '18446744073709551615', 'recording.stalled', 'silent', 1, 2, 3);
  INSERT INTO removal VALUES ('${recording}', 1763830055000);
  INSERT INTO event VALUES
    (41, '01975b7e-2c00-7000-8000-0000000000e1', 'agent-started', 1763829000000, '{"version":"0.1.0","bootNumber":7}', 1763829000500),
    (42, '01975b7e-2c00-7000-8000-0000000000e2', 'camera-undocked', 1763830070000,
     '{"bay":1,"serialNumber":"BC-1001","sessionId":"${session}"}', NULL);
  `,
  `
  INSERT INTO fault VALUES (2, '', 'wire.timeout', 9, 1763800000000, 1763830000000);
  UPDATE recording SET stated_times = '{"captured":"20251122T173000","zoneMinutes":300}';
  INSERT INTO proven_attachment VALUES ('BC-1001', 'boot-1 1-1.2', '77', 1763830000000);
  `,
  `
  INSERT INTO doubt VALUES ('register', 1763830000000, 'state.damaged, restored from station.db');
  UPDATE recording SET verified_at = 1763900000000;
  `,
  `
  INSERT INTO event VALUES
    (43, '01975b7e-2c00-7000-8000-0000000000e3', 'station-sampled', 1763830080000, '{"waitingEvents":1}', NULL, 'may',
     (SELECT max(total_bytes) FROM event) + 19);
  INSERT INTO command VALUES
    ('req-00000001', 'pull', 'monitoring', 1763830080000, '{"status":"ok","data":{"bays":[1]}}');
  INSERT INTO alarm VALUES ('vault.slow', '', 'warning', 1763830080000, 'no answer for 9 s');
  INSERT INTO retained_topic VALUES ('bay/1'), ('alarm/vault.slow');
  `,
  `
  INSERT INTO register_copy VALUES (1, 7, 1763830080000, '{"headcount":40,"quota":5,"row":1,"editionId":"order-1358-2021",
    "citation":"Order No. 1358","isHeadcountKnown":true,"enrolled":1,"refused":0}', 12);
  INSERT INTO queued_retirement VALUES
    ('019aa000-0000-7000-8000-000000000001', 'BC-1', 'aigerim', 'lost', 'not in its bay', 1763830000000);
  `,
  `
  INSERT INTO assignment VALUES (1, 7, 'eyJhbGciOiJFZERTQSJ9.e30.AA', 1763830090000, 'aigerim');
  INSERT INTO enrolment_decision VALUES
    (2, 1763830091000, 'BC-1003', 'enrolled', 'automatic', 'first docking at this post', 120, 20, 1, 3,
     'order-1358-2021', 7);
  `,
  `
  INSERT INTO event VALUES
    (44, '01975b7e-2c00-7000-8000-0000000000e4', 'agent-stopping', 1763830090000, '{}', 'must',
     (SELECT max(total_bytes) FROM event) + 2);
  INSERT INTO waiting_event VALUES (44, 'must');
  `,
  `
  UPDATE enrolment SET service_reported = 12 WHERE serial_number = 'BC-1001';
  `,
];

const version = Number(process.argv[2]);
if (!Number.isInteger(version) || version < 1 || version > Math.min(migrations.length, rows.length)) {
  throw new Error(`a version from 1 to ${Math.min(migrations.length, rows.length)} that has rows`);
}
const db = new DatabaseSync(':memory:');
db.function('sha256', { deterministic: true }, (text) => sha256(String(text)));
for (let index = 0; index < version; index++) {
  db.exec(migrations[index] ?? '');
  db.exec(rows[index] ?? '');
}
process.stdout.write(`${dump(db, version).join('\n')}\n`);

function dump(from: DatabaseSync, userVersion: number): string[] {
  const schema = from
    .prepare("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
    .all();
  const tables = schema.filter(({ type }) => type === 'table').map(({ name }) => String(name));
  const inserts = tables.flatMap((table) =>
    from
      .prepare(`SELECT * FROM ${table}`)
      .all()
      .map((row) => `INSERT INTO ${table} VALUES (${Object.values(row).map(literal).join(', ')});`),
  );
  return [
    `-- A database of schema version ${userVersion}, printed by scripts/database-fixture.ts. Never changed.`,
    'PRAGMA foreign_keys = OFF;',
    ...schema.map(({ sql }) => `${String(sql)};`),
    ...inserts,
    `PRAGMA application_id = ${applicationId};`,
    `PRAGMA user_version = ${userVersion};`,
  ];
}

function literal(value: SQLOutputValue): string {
  if (value === null) return 'NULL';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return `X'${Buffer.from(value).toString('hex')}'`;
  return `'${String(value).replaceAll("'", "''")}'`;
}
