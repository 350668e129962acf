import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import type { HeldRecording } from '../../dock/simulator/recording-store.ts';
import type { SimulatedBroker } from './simulated-broker.ts';
import type { TableChange } from './simulated-database.ts';
import type { SimulatedDisk } from './simulated-disk.ts';
import type { Story } from './story.ts';

export const vaultFolder = '/vault';

type Facts = Record<string, SQLOutputValue>;

/** Order 1358, read here once more: sets by headcount. */
function quotaOf(headcount: number | undefined): number {
  if (headcount === undefined || headcount === 0) return 0;
  const rows = [
    [50, 5],
    [100, 10],
    [200, 20],
    [300, 30],
    [400, 40],
  ] as const;
  return rows.find(([upTo]) => headcount <= upTo)?.[1] ?? 50;
}

/**
 * Judges the promises from outside: by what cameras hold and held, by the disk as it would be after a crash now, by
 * the committed rows, by what the broker got. Uses nothing of the agent.
 */
export class Oracles {
  /** Of the configuration the agent runs with. */
  headcount: number | undefined;
  readonly #story: Story;
  readonly #disk: SimulatedDisk;
  readonly #broker: SimulatedBroker;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** Whatever a camera of this serial number ever held, by its digest. */
  readonly #held = new Map<string, { readonly paths: Set<string>; readonly bytes: Uint8Array }>();
  #enrolled = 0;
  #heard = 0;
  #lastSeq = 0;
  readonly #eventIds = new Map<number, string>();

  constructor(parts: { story: Story; disk: SimulatedDisk; broker: SimulatedBroker; databasePath: string }) {
    this.#story = parts.story;
    this.#disk = parts.disk;
    this.#broker = parts.broker;
    this.#db = new DatabaseSync(parts.databasePath);
    this.#db.exec('PRAGMA query_only = ON');
  }

  close(): void {
    this.#db.close();
  }

  all(sql: string, ...values: SQLInputValue[]): Facts[] {
    const statement = this.#statements.get(sql) ?? this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement.all(...values);
  }

  /** Places the norm leaves for cameras not enrolled yet. */
  freePlaces(): number {
    return quotaOf(this.headcount) - this.#countEnrolled();
  }

  appeared(serialNumber: string, { path }: HeldRecording, bytes: Uint8Array): void {
    const key = `${serialNumber} ${sha256Of(bytes)}`;
    const held = this.#held.get(key) ?? { paths: new Set(), bytes };
    held.paths.add(path);
    this.#held.set(key, held);
  }

  /** Why a recording would be lost if its camera went up in flames now; undefined when it is safe. */
  whyUnsafe(serialNumber: string, bytes: Uint8Array): string | undefined {
    const rows = this.all(
      'SELECT stored_path FROM recording WHERE serial_number = ? AND sha256 = ?',
      serialNumber,
      sha256Of(bytes),
    );
    let why: string | undefined = 'it is not in the catalogue';
    for (const row of rows) {
      why = this.#disk.lacks(pathOf(row), bytes);
      if (why === undefined) return undefined;
    }
    return why;
  }

  /** Whether the medium has spoilt the stored copy of a recording. */
  isSpoilt(serialNumber: string, bytes: Uint8Array): boolean {
    const rows = this.all(
      'SELECT stored_path FROM recording WHERE serial_number = ? AND sha256 = ?',
      serialNumber,
      sha256Of(bytes),
    );
    return rows.some((row) => this.#disk.isRotten(pathOf(row)));
  }

  /** A camera is about to let go of a recording because the agent asked it to. */
  removed(serialNumber: string, { path }: HeldRecording, bytes: Uint8Array): void {
    this.#story.count('removed from a camera');
    const why = this.whyUnsafe(serialNumber, bytes);
    if (why !== undefined) this.#story.violate(1, `${serialNumber} removes ${path}: ${why}`);
  }

  /** A transaction of the agent is durable. */
  committed(changes: readonly TableChange[]): void {
    for (const { table, sql, values } of changes) {
      if (table === 'recording' && sql.startsWith('INSERT')) this.#stored(text(values[0]));
      if (table === 'enrolment') this.#expectQuota();
      if (table === 'docking_session' && sql.includes('ended_at')) this.#expectAccount(text(values.at(-1)));
      if (table === 'event' && sql.startsWith('INSERT')) this.#tellEvent(text(values[1]), text(values[3]));
    }
  }

  /** What is left after a crash must be all that was promised before. */
  crashed(): void {
    for (const row of this.#catalogue()) {
      const held = this.#heldOf(row);
      const bytes = this.#disk.bytesOf(pathOf(row));
      if (!held || this.#disk.isRotten(pathOf(row))) continue;
      if (!bytes) this.#story.violate(1, `${String(row['stored_path'])} did not survive the crash`);
      else if (sha256Of(bytes) !== row['sha256'])
        this.#story.violate(1, `${String(row['stored_path'])} came out of the crash changed`);
    }
  }

  /** Everything that must hold at any time and is too much to ask after every step. */
  everything(): void {
    for (const row of this.#catalogue()) this.#expectTrue(row);
    for (const { id } of this.all('SELECT id FROM docking_session WHERE ended_at IS NOT NULL'))
      this.#expectAccount(String(id));
    this.#expectReportedAccounts();
    this.hearBroker();
  }

  /** Events arrive in order, and a duplicate is the same event. */
  hearBroker(): void {
    const { received } = this.#broker;
    for (; this.#heard < received.length; this.#heard++) {
      const event = received[this.#heard];
      if (!event) return;
      const known = this.#eventIds.get(event.seq);
      // Dropped samples leave a gap in the numbers, and the event after it says what was before.
      if (known === undefined && (event.previousSeq !== this.#lastSeq || event.seq <= this.#lastSeq))
        this.#story.violate(
          5,
          `event ${event.seq} after ${event.previousSeq} arrived after event ${this.#lastSeq}`,
        );
      if (known !== undefined) this.#story.count('event delivered twice');
      if (known !== undefined && known !== event.id)
        this.#story.violate(5, `event ${event.seq} arrived under two ids`);
      this.#eventIds.set(event.seq, event.id);
      this.#lastSeq = Math.max(this.#lastSeq, event.seq);
    }
  }

  /** Events that are recorded and have not arrived, by the broker's word. */
  undelivered(): number {
    this.hearBroker();
    const rows = this.all('SELECT seq, id FROM event');
    return rows.filter(({ seq, id }) => this.#eventIds.get(Number(seq)) !== id).length;
  }

  #stored(id: string): void {
    for (const row of this.all('SELECT * FROM recording WHERE id = ?', id)) {
      this.#expectTrue(row);
      const held = this.#heldOf(row);
      const why = held && this.#disk.lacks(pathOf(row), held.bytes);
      if (why !== undefined)
        this.#story.violate(1, `${String(row['stored_path'])} is in the catalogue: ${why}`);
    }
  }

  #expectTrue(row: Facts): void {
    const held = this.#heldOf(row);
    const what = `${String(row['path'])} of ${String(row['serial_number'])}`;
    if (!held?.paths.has(String(row['path']))) {
      this.#story.violate(2, `${what} is in the catalogue and was never on such a camera`);
      return;
    }
    const bytes = this.#disk.bytesOf(pathOf(row));
    if (this.#disk.isRotten(pathOf(row))) return;
    if (!bytes) this.#story.violate(1, `${what} is in the catalogue and has no file`);
    else if (sha256Of(bytes) !== row['sha256']) this.#story.violate(2, `${what} is stored with other bytes`);
  }

  #expectQuota(): void {
    const enrolled = this.#countEnrolled();
    const quota = quotaOf(this.headcount);
    // A smaller norm does not throw anybody out; nobody may come in any more.
    if (enrolled > quota && enrolled > this.#enrolled)
      this.#story.violate(3, `${enrolled} cameras are enrolled, the norm allows ${quota}`);
    this.#enrolled = enrolled;
  }

  #expectAccount(id: string): void {
    for (const row of this.all('SELECT * FROM docking_session WHERE id = ?', id)) {
      const [listed, stored, held, quarantined, refused] = [
        'listed',
        'stored',
        'held',
        'quarantined',
        'refused',
      ].map((name) => Number(row[name])) as [number, number, number, number, number];
      const gap = listed - stored - held - quarantined - refused;
      const account = `session of ${String(row['serial_number'])}, ${String(row['outcome'])}: ${listed} listed, ${stored} stored, ${held} held, ${quarantined} quarantined, ${refused} refused`;
      if ([listed, stored, held, quarantined, refused].some((count) => count < 0))
        this.#story.violate(4, account);
      if (gap < 0) this.#story.violate(4, `more than all: ${account}`);
      if (gap > 0 && ['complete', 'refused'].includes(String(row['outcome'])))
        this.#story.violate(4, `a gap: ${account}`);
    }
  }

  /** What was told of a session when it ended is still so. */
  #expectReportedAccounts(): void {
    const told = new Map<string, Record<string, unknown>>();
    for (const { data } of this.all(`SELECT data FROM event WHERE type = 'session-finished'`)) {
      const account = JSON.parse(String(data)) as Record<string, unknown>;
      told.set(String(account['sessionId']), account);
    }
    const stored = new Map<string, number>();
    for (const { session, n } of this.all(
      'SELECT session_id AS session, count(*) AS n FROM recording GROUP BY session_id',
    ))
      stored.set(String(session), Number(n));
    for (const row of this.all('SELECT * FROM docking_session WHERE ended_at IS NOT NULL')) {
      const account = told.get(String(row['id']));
      const whose = `session of ${String(row['serial_number'])}`;
      if (!account) {
        this.#story.violate(4, `${whose} ended and was not reported`);
        continue;
      }
      for (const name of ['listed', 'stored', 'held', 'quarantined', 'refused', 'removed'])
        if (account[name] !== row[name])
          this.#story.violate(
            4,
            `${whose}: ${name} was reported as ${String(account[name])} and is ${String(row[name])}`,
          );
      const rows = stored.get(String(row['id'])) ?? 0;
      if (Number(row['stored']) !== rows)
        this.#story.violate(4, `${whose}: ${String(row['stored'])} stored, ${rows} in the catalogue`);
    }
  }

  #tellEvent(type: string, json: string): void {
    const data = JSON.parse(json) as Record<string, unknown>;
    const code = text(data['code'] ?? data['outcome']);
    this.#story.count(`event ${type}${code === '' ? '' : ` ${code}`}`);
    const shown = [
      'bay',
      'serialNumber',
      'path',
      'outcome',
      'code',
      'listed',
      'stored',
      'held',
      'quarantined',
      'refused',
      'unaccounted',
      'detail',
    ];
    const facts = shown
      .filter((name) => data[name] !== undefined)
      .map((name) => `${name} ${text(data[name])}`);
    this.#story.tell(`agent: ${type} ${facts.join(', ')}`.trimEnd());
    if (code === 'internal.bug') this.#story.violate('agent', `internal.bug: ${text(data['detail'])}`);
  }

  #countEnrolled(): number {
    return Number(this.all(`SELECT count(*) AS n FROM enrolment WHERE state = 'enrolled'`)[0]?.['n']);
  }

  #catalogue(): Facts[] {
    return this.all('SELECT * FROM recording');
  }

  #heldOf(row: Facts): { readonly paths: Set<string>; readonly bytes: Uint8Array } | undefined {
    return this.#held.get(`${String(row['serial_number'])} ${String(row['sha256'])}`);
  }
}

function pathOf(row: Facts): string {
  return join(vaultFolder, String(row['stored_path']));
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
