import { join } from 'node:path';
import { unsignedHeadcount } from '../../agent/enrolment/headcount.ts';
import { SqliteRegister } from '../../agent/enrolment/sqlite-register.ts';
import { MqttConnection } from '../../agent/report/mqtt-connection.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { Reporter } from '../../agent/report/reporter.ts';
import { StateDocuments } from '../../agent/report/state-documents.ts';
import { BayBoard } from '../../agent/session/bay-board.ts';
import { Database } from '../../agent/state/database.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import type { EventData } from '../../protocol/mqtt/events.ts';
import { stationTopics } from '../../protocol/mqtt/topics.ts';

export const benchTopics = stationTopics({ department: 'almaty', post: 'kordai', station: 'bench' });

/** The reporting half of a station as it runs, on a real database: outbox, documents, reporter. */
export class BenchStation implements AsyncDisposable {
  readonly outbox: Outbox;
  readonly databaseFile: string;
  readonly #db: Database;
  readonly #documents: StateDocuments;
  #run: { stopping: AbortController; ended: Promise<void>; reporter: Reporter } | undefined;

  constructor(folder: string) {
    this.databaseFile = join(folder, 'station.db');
    const db = new Database(this.databaseFile);
    const clock = systemClock;
    this.#db = db;
    this.outbox = new Outbox(db, clock, systemRandom);
    const { outbox } = this;
    const register = new SqliteRegister(db, outbox, clock, unsignedHeadcount(40), 'd/p/s');
    const board = new BayBoard(clock, [1]);
    this.#documents = new StateDocuments({ clock, db, board, register, outbox, topics: benchTopics });
  }

  get reporter(): Reporter | undefined {
    return this.#run?.reporter;
  }

  /** Commits `count` events, `atOnce` of them in one transaction. */
  record(count: number, { from = 0, atOnce = 1 } = {}): void {
    for (let index = from; index < from + count; index += atOnce) {
      this.#db.transaction(() => {
        for (let each = index; each < Math.min(index + atOnce, from + count); each++) {
          this.outbox.record('recording-stored', storedRecording(each));
        }
      });
    }
  }

  start(url: string, windowSize?: number): void {
    const { outbox } = this;
    const reporter = new Reporter({
      openBroker: MqttConnection.open,
      clock: systemClock,
      random: systemRandom,
      db: this.#db,
      outbox,
      topics: benchTopics,
      documents: this.#documents,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      broker: { url, clientId: 'dock-bench' },
      boot: 1,
      version: '0',
      ...(windowSize !== undefined && { windowSize }),
    });
    const stopping = new AbortController();
    this.#run = { stopping, reporter, ended: reporter.run(stopping.signal) };
  }

  async stop(): Promise<void> {
    this.#run?.stopping.abort(new Error('stop'));
    await this.#run?.ended;
    this.#run = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#db[Symbol.dispose]();
  }
}

/** The event a station sends most, with texts as long as real ones. */
function storedRecording(index: number): EventData<'recording-stored'> {
  const digest = index.toString(16).padStart(64, '0');
  return {
    serialNumber: 'BC-100482',
    sessionId: '01a2b3c4-d5e6-7f80-9a1b-2c3d4e5f6071',
    path: `/DCIM/100MEDIA/20261123_${String(index % 1_000_000).padStart(6, '0')}_0001.MP4`,
    sizeBytes: String(1_073_741_824 + index),
    recordingId: digest.slice(32),
    sha256: digest,
    storedPath: `kordai/2026/11/23/BC-100482/${digest.slice(40)}.MP4`,
    cameraDigest: 'listed',
  };
}
