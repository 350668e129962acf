import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unsignedHeadcount } from '../../agent/enrolment/headcount.ts';
import { SqliteRegister } from '../../agent/enrolment/sqlite-register.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { Database } from '../../agent/state/database.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { auditRecord } from '../../protocol/norm/audit-record.ts';
import { registerConformance, type RegisterUnderTest } from './register-conformance.ts';

registerConformance('SQLite', { runs: 8 }, async (): Promise<RegisterUnderTest> => {
  const folder = mkdtempSync(join(tmpdir(), 'dock-register-'));
  const db = new Database(join(folder, 'station.db'));
  const outbox = new Outbox(db, systemClock, systemRandom);
  return {
    open: async (headcount) =>
      new SqliteRegister(db, outbox, systemClock, unsignedHeadcount(headcount), 'd/p/s'),
    decisions: async () =>
      db
        .all('SELECT record FROM audit ORDER BY number')
        .map(({ record }) => auditRecord.parse(JSON.parse(String(record)))),
    events: async () => outbox.after(0, 10_000).map(({ type, data }) => ({ type, data })),
    [Symbol.asyncDispose]: async () => {
      db[Symbol.dispose]();
      rmSync(folder, { recursive: true });
    },
  };
});
