/**
 * A station's life in one process, for sigkill.test.ts: it recovers what an earlier life left, then serves one
 * docking of a camera that removes what is proven. At the n-th of the given moments it kills itself; what the kernel
 * holds already survives, as in any crash but a power cut. Arguments: folder, moment, n.
 */
import { join } from 'node:path';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { configSchema } from '../../agent/config/schema.ts';
import { ProvenAttachments } from '../../agent/enrolment/proven-attachments.ts';
import { unsignedHeadcount } from '../../agent/enrolment/headcount.ts';
import { SqliteRegister } from '../../agent/enrolment/sqlite-register.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { runDockingSession } from '../../agent/session/docking-session.ts';
import { closeInterruptedSessions } from '../../agent/session/session-log.ts';
import { Catalogue } from '../../agent/vault/catalogue.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';
import { Vault } from '../../agent/vault/vault.ts';
import { FaultDatabase } from './fault-database.ts';
import { FaultDisk, type DiskOperation, type DiskPlan } from './fault-disk.ts';
import { killCamera } from './kill-camera.ts';

const [folder = '', moment = '', n = ''] = process.argv.slice(2);

let passed = 0;
function passMoment(): void {
  if (++passed === Number(n)) process.kill(process.pid, 'SIGKILL');
}

const changes: ReadonlySet<DiskOperation> = new Set<DiskOperation>([
  'makeFolder',
  'open',
  'append',
  'truncate',
  'sync',
  'link',
  'remove',
  'syncFolder',
]);
const diskPlans: Readonly<Record<string, DiskPlan>> = {
  // Dying before a look at the disk leaves it as dying before the next change of it, or the next commit.
  'disk-change': {
    before: ({ operation }) => {
      if (changes.has(operation)) passMoment();
    },
  },
  'half-append': {
    onAppend: (bytes) => (passed + 1 === Number(n) ? bytes.subarray(0, bytes.length / 2) : bytes),
    after: ({ operation }) => {
      if (operation === 'append') passMoment();
    },
  },
  'linked-without-row': {
    after: ({ operation }) => {
      if (operation === 'syncFolder') passMoment();
    },
  },
};

// Every look at this clock finds a checkpoint due.
let monotonicMs = 0;
const clock = { ...systemClock, monotonic: () => (monotonicMs += 20_000) };
const random = systemRandom;
const disk = new FaultDisk(nodeDisk, diskPlans[moment]);
const db = new FaultDatabase(join(folder, 'station.db'));
if (moment === 'before-commit') db.plan = { before: passMoment };
if (moment === 'after-commit') db.plan = { after: passMoment };
const outbox = new Outbox(db, clock, random);
const vault = new Vault(
  { db, outbox, disk, clock, random },
  { folder: join(folder, 'vault'), reserveBytes: 0 },
);
const { signal } = new AbortController();

await vault.recover(signal);
closeInterruptedSessions({ db, outbox, clock, random });
const result = await runDockingSession(
  killCamera(folder),
  { bay: 1, isFirst: true, compared: new Set() },
  {
    config: configSchema.parse({ post: { headcount: 40 }, vault: { removal: 'when-verified' } }),
    clock,
    random,
    db,
    outbox,
    vault,
    register: new SqliteRegister(db, outbox, clock, unsignedHeadcount(40), 'd/p/s'),
    attachments: new ProvenAttachments(db, clock, 30_000),
    catalogue: new Catalogue(db),
    checkStationClock: async () => ({ isTrusted: true, evidence: 'a test' }),
  },
  {
    opened: () => undefined,
    busy: () => undefined,
    phase: () => undefined,
    planned: () => undefined,
    pulled: () => undefined,
  },
  signal,
);
db[Symbol.dispose]();
process.stdout.write(JSON.stringify(result));
