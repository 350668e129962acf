import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unsignedHeadcount } from '../../agent/enrolment/headcount.ts';
import { SqliteRegister } from '../../agent/enrolment/sqlite-register.ts';
import type { BrokerCredentials } from '../../agent/report/broker-credentials.ts';
import { MqttConnection } from '../../agent/report/mqtt-connection.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { Reporter } from '../../agent/report/reporter.ts';
import { StateDocuments } from '../../agent/report/state-documents.ts';
import { BayBoard } from '../../agent/session/bay-board.ts';
import { Database } from '../../agent/state/database.ts';
import type { Clock } from '../../dock/clock.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { stationTopics } from '../../protocol/mqtt/topics.ts';

/** The system clock, pauses cut short, the wall clock movable; it keeps what was asked of it. */
export class TestClock implements Clock {
  readonly sleepsMs: number[] = [];
  /** Those that nothing cut short. */
  readonly ranOutMs: number[] = [];
  aheadMs = 0;
  /** Time that went by at once. */
  elapsedMs = 0;
  /** So many times shorter are its pauses. */
  haste: number;

  constructor(haste = 20) {
    this.haste = haste;
  }

  now(): number {
    return systemClock.now() + this.aheadMs + this.elapsedMs;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.elapsedMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.sleepsMs.push(ms);
    await systemClock.sleep(ms / this.haste, signal);
    this.ranOutMs.push(ms);
  }
}

/** The reporting half of the agent on a real database, without bays to serve. */
export class ReportingStation implements AsyncDisposable {
  readonly clock: TestClock;
  readonly db: Database;
  readonly outbox: Outbox;
  readonly register: SqliteRegister;
  readonly board: BayBoard;
  readonly topics = stationTopics({ department: 'd', post: 'p', station: 's' });
  readonly #folder = mkdtempSync(join(tmpdir(), 'dock-report-'));
  readonly #documents: StateDocuments;
  /** Begun so far. */
  connections = 0;
  #run: { stopping: AbortController; ended: Promise<void>; reporter: Reporter } | undefined;

  constructor(clock = new TestClock()) {
    this.clock = clock;
    this.db = new Database(join(this.#folder, 'station.db'));
    this.outbox = new Outbox(this.db, clock, systemRandom);
    this.register = new SqliteRegister(this.db, this.outbox, clock, unsignedHeadcount(40), 'd/p/s');
    this.board = new BayBoard(clock, [1]);
    const { db, board, register, outbox, topics } = this;
    this.#documents = new StateDocuments({ clock, db, board, register, outbox, topics });
  }

  get state(): Reporter['state'] | undefined {
    return this.#run?.reporter.state;
  }

  problems(): ReturnType<Reporter['problems']> {
    return this.#run?.reporter.problems() ?? [];
  }

  start(url: string, credentials?: () => BrokerCredentials): void {
    const { clock, db, outbox, topics } = this;
    const reporter = new Reporter({
      openBroker: MqttConnection.open,
      clock,
      db,
      outbox,
      topics,
      // All ones: every back-off is as long as it can be.
      random: { bytes: (count) => new Uint8Array(count).fill(0xff) },
      documents: this.#documents,
      log: {
        info: (event) => void (this.connections += Number(event === 'broker-connected')),
        warn: () => undefined,
        error: () => undefined,
      },
      broker: { url, clientId: 'dock-test' },
      ...(credentials && { credentials }),
      boot: 1,
      version: '0',
    });
    const stopping = new AbortController();
    this.#run = { stopping, reporter, ended: reporter.run(stopping.signal) };
  }

  async stop(): Promise<void> {
    this.#run?.stopping.abort(new Error('stop'));
    await this.#run?.ended;
    this.#run = undefined;
  }

  replay(request: Parameters<Reporter['replay']>[0]): ReturnType<Reporter['replay']> {
    if (!this.#run) throw new Error('not started');
    return this.#run.reporter.replay(request);
  }

  /** Puts events into the outbox; `detail` counts from 1. */
  record(count: number): void {
    for (let index = 1; index <= count; index++) {
      this.outbox.record('vault-problem', { code: 'vault.file-missing', detail: String(index) });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.db[Symbol.dispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
