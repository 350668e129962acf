import {
  eventTypes,
  isEventType,
  type EventData,
  type EventEnvelope,
  type EventType,
} from '../../protocol/mqtt/events.ts';
import { DockError } from '../../protocol/errors.ts';
import { uuidV7, type Clock, type RandomSource } from '../../dock/clock.ts';
import { raiseCount, readCount } from '../state/counters.ts';
import type { Database, Row } from '../state/database.ts';
import { judgeBacklog, usualLimits, type Backlog, type OutboxLimits } from './outbox-limits.ts';
import {
  envelopeHead,
  outgoingEvent,
  storedEvent,
  type OutgoingEvent,
  type StoredEvent,
} from './stored-event.ts';

type EventListener = (type: EventType, data: Readonly<Record<string, unknown>>) => void;

const keptEvents = 100_000;
/** Pruning rides along with recording, every so many events. */
const pruneEvery = 1000;
/** One receipt marks at most so many, about a tenth of a second of work. */
const receivedAtOnce = 50_000;

/**
 * The transactional outbox: whoever states a fact records its event in the same transaction, so that neither is
 * ever there without the other. Events leave in the order of `seq`, and are kept after the broker acknowledged
 * them so that they can be read and replayed.
 */
export class Outbox {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #limits: OutboxLimits;
  readonly #listeners = new Set<EventListener>();
  #backlog: Backlog = 'ok';
  /** Up to here events were handed to a connection that may still send them. */
  #handedOutSeq = 0;

  constructor(db: Database, clock: Clock, random: RandomSource, limits = usualLimits) {
    this.#db = db;
    this.#clock = clock;
    this.#random = random;
    this.#limits = limits;
  }

  /**
   * To be called inside the transaction of the fact, or alone where the event is the fact. What its schema does not
   * name is left out. Errors: `internal.bug` for data that does not fit.
   */
  record<T extends EventType>(type: T, data: EventData<T>): void {
    if (!isEventType(type)) throw new DockError('internal.bug', `no event ${String(type)}`);
    const parsed = eventTypes[type].data.safeParse(data);
    if (!parsed.success) throw new DockError('internal.bug', `event ${type}: ${parsed.error.message}`);
    const text = JSON.stringify(parsed.data, cutLong);
    // A transaction of its own where there is none: the commit of a lone RETURNING statement fails unheard.
    const seq = this.#db.transaction(() => {
      if (eventTypes[type].class === 'may') this.#dropSamples();
      const row = this.#db.get(
        `INSERT INTO event (id, type, at, data, class, total_bytes) VALUES (?, ?, ?, ?, ?,
           coalesce((SELECT total_bytes FROM event ORDER BY seq DESC LIMIT 1), 0) + ?) RETURNING seq`,
        uuidV7(this.#clock, this.#random),
        type,
        Math.floor(this.#clock.now()),
        text,
        eventTypes[type].class,
        Buffer.byteLength(text),
      );
      const given = Number(row?.['seq']);
      this.#db.run('INSERT INTO waiting_event (seq, class) VALUES (?, ?)', given, eventTypes[type].class);
      return given;
    });
    if (seq % pruneEvery === 0) this.prune();
    // Listeners only enqueue; they see the event once its transaction is committed.
    for (const listener of this.#listeners) listener(type, parsed.data);
  }

  /** Events after `seq`, oldest first. */
  after(seq: number, limit: number): StoredEvent[] {
    return this.#db.all(`${select} WHERE seq > ? ORDER BY seq LIMIT ?`, seq, limit).map(storedEvent);
  }

  /** The newest events, oldest first. */
  latest(limit: number): StoredEvent[] {
    return this.#db.all(`${select} ORDER BY seq DESC LIMIT ?`, limit).map(storedEvent).toReversed();
  }

  /** The oldest events that the broker has not acknowledged. */
  unacknowledged(limit: number): StoredEvent[] {
    return this.#db
      .all(`${select} JOIN waiting_event USING (seq) ORDER BY seq LIMIT ?`, limit)
      .map(storedEvent);
  }

  /** A connection begins: what an earlier one was given, and did not bring out, is given to this one again. */
  takeBack(): void {
    this.#handedOutSeq = 0;
  }

  /** Events after `seq` that the broker does not have, oldest first. */
  outgoing(seq: number, limit: number): OutgoingEvent[] {
    const isBrokerEnough = this.#limits.receipt === 'broker';
    const events = this.#readyToSend(
      this.#db.all(
        `SELECT seq, id, type, at, event.class, data FROM waiting_event JOIN event USING (seq)
         WHERE seq > ? ORDER BY seq LIMIT ?`,
        isBrokerEnough ? seq : Math.max(seq, this.sentSeq()),
        limit,
      ),
    );
    this.#handedOutSeq = events.at(-1)?.seq ?? this.#handedOutSeq;
    return events;
  }

  /** Events from `fromSeq` up to `toSeq`, also delivered ones, to be sent once more. */
  again({ fromSeq, toSeq }: { fromSeq: number; toSeq: number }, limit: number): OutgoingEvent[] {
    return this.#readyToSend(
      this.#db.all(
        `SELECT seq, id, type, at, class, data FROM event WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?`,
        fromSeq,
        toSeq,
        limit,
      ),
      { isReplayed: true },
    );
  }

  /** What of the events from `fromSeq` on is kept and was sent before, `limit` of them at most. */
  replayable(fromSeq: number, limit: number): { fromSeq: number; toSeq: number; events: number } {
    const row = this.#db.get(
      `SELECT count(*) AS events, min(seq) AS first, max(seq) AS last FROM
         (SELECT seq FROM event WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?)`,
      fromSeq,
      this.sentSeq(),
      limit,
    );
    const events = Number(row?.['events'] ?? 0);
    if (events === 0) return { fromSeq, toSeq: fromSeq - 1, events };
    return { fromSeq: Number(row?.['first']), toSeq: Number(row?.['last']), events };
  }

  /** Thousands a second go this way: their data is not parsed. */
  #readyToSend(rows: readonly Row[], { isReplayed = false } = {}): OutgoingEvent[] {
    let before = -1;
    return rows.map((row) => {
      const seq = Number(row['seq']);
      const previousSeq = before === seq - 1 ? before : this.#previousSeq(seq);
      before = seq;
      return outgoingEvent(row, { previousSeq, now: this.#clock.now(), isReplayed });
    });
  }

  /** The broker has acknowledged all of these, and all before them. */
  acknowledgeRange(first: number, last: number): void {
    if (this.#limits.receipt === 'consumer') return raiseCount(this.#db, 'event-sent', last);
    this.#db.run('DELETE FROM waiting_event WHERE seq BETWEEN ? AND ?', first, last);
  }

  /** The broker has acknowledged these; others before them it has not. */
  acknowledge(seqs: readonly number[]): void {
    if (seqs.length === 0 || this.#limits.receipt === 'consumer') return;
    this.#db.run(
      'DELETE FROM waiting_event WHERE seq IN (SELECT value FROM json_each(?))',
      JSON.stringify(seqs),
    );
  }

  /**
   * A consumer has everything up to `uptoSeq` safe. What was never sent, nobody can have. Returns up to where all is
   * delivered now: less than was sent and asked for when it is too much for one call, or when the broker's receipt is
   * what counts.
   */
  received(uptoSeq: number): number {
    this.#db.run(
      `DELETE FROM waiting_event WHERE seq IN
         (SELECT seq FROM waiting_event WHERE seq <= ? ORDER BY seq LIMIT ?)`,
      Math.min(uptoSeq, this.sentSeq()),
      receivedAtOnce,
    );
    return this.#deliveredSeq();
  }

  /** Up to where the broker has every event. */
  sentSeq(): number {
    const delivered = this.#deliveredSeq();
    return this.#limits.receipt === 'broker'
      ? delivered
      : Math.max(delivered, readCount(this.#db, 'event-sent'));
  }

  #deliveredSeq(): number {
    const first = this.#firstWaiting()?.['seq'];
    return first === undefined ? this.lastSeq() : Number(first) - 1;
  }

  /**
   * Forgets the oldest events beyond what is kept for reading and replay, none that waits and none after one that does:
   * so it need not look through all that waits. Not many at once, as whoever records waits for it. The one before the
   * oldest that waits stays too, since that one names it as its predecessor. Counted by rows, as numbers are far apart
   * after a recovery of the database.
   */
  prune(): void {
    this.#db.run(
      // One bound alone: of two, SQLite seeks by the first and looks at every row for the other.
      `DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE seq <= min(
           coalesce((SELECT seq FROM event ORDER BY seq DESC LIMIT 1 OFFSET ?), 0),
           coalesce((SELECT max(seq) FROM event WHERE seq < (SELECT min(seq) FROM waiting_event)) - 1,
             (SELECT min(seq) FROM waiting_event) - 1, ?))
         ORDER BY seq LIMIT ?)`,
      keptEvents,
      Number.MAX_SAFE_INTEGER,
      2 * pruneEvery,
    );
  }

  /** Of the waiting samples the oldest, where there are too many; never one that may be on its way. */
  #dropSamples(): void {
    const { mostSamples } = this.#limits;
    const [db, sentSeq] = [this.#db, this.sentSeq()];
    const waiting = `FROM waiting_event WHERE class = 'may'`;
    const excess = Number(db.get(`SELECT count(*) AS n ${waiting}`)?.['n']) + 1 - mostSamples;
    if (excess <= 0) return;
    const dropped = db.all(
      `SELECT seq ${waiting} AND NOT seq BETWEEN ? AND ? ORDER BY seq LIMIT ?`,
      sentSeq + 1,
      this.#handedOutSeq,
      excess,
    );
    if (dropped.length === 0) return;
    const seqs = JSON.stringify(dropped.map(({ seq }) => seq));
    for (const table of ['waiting_event', 'event'])
      db.run(`DELETE FROM ${table} WHERE seq IN (SELECT value FROM json_each(?))`, seqs);
    raiseCount(db, 'samples-dropped', this.droppedSamples() + dropped.length);
  }

  /** Ever. */
  droppedSamples(): number {
    return readCount(this.#db, 'samples-dropped');
  }

  /** How far what waits is from its limits. Two rows tell, however many wait, unless their numbers are far apart. */
  backlog(): Backlog {
    const first = Number(this.#firstWaiting()?.['seq'] ?? Infinity);
    const most = Math.max(0, this.lastSeq() - first + 1);
    // Numbers go on far above after a recovery of the database, and those of samples that were dropped are missing.
    const events = most < this.#limits.mostEvents / 2 ? most : this.depth();
    const waiting = { events, ...this.waiting() };
    this.#backlog = judgeBacklog(this.#limits, waiting, this.#clock.now(), this.#backlog);
    return this.#backlog;
  }

  depth(): number {
    return Number(this.#db.get('SELECT count(*) AS n FROM waiting_event')?.['n']);
  }

  /** Of the newest event; 0 before the first. */
  lastSeq(): number {
    return Number(this.#db.get('SELECT max(seq) AS seq FROM event')?.['seq'] ?? 0);
  }

  /** Bytes of what waits, and since when its oldest does. */
  waiting(): { bytes: number; oldestAt?: number } {
    const first = this.#firstWaiting();
    if (!first) return { bytes: 0 };
    const total = this.#db.get('SELECT total_bytes FROM event ORDER BY seq DESC LIMIT 1')?.['total_bytes'];
    return { bytes: Number(total) - Number(first['before']), oldestAt: Number(first['at']) };
  }

  #firstWaiting(): Row | undefined {
    return this.#db.get(
      `SELECT seq, at, total_bytes - length(CAST(data AS BLOB)) AS before
       FROM waiting_event JOIN event USING (seq) ORDER BY seq LIMIT 1`,
    );
  }

  /** As in `select`. */
  #previousSeq(seq: number): number {
    const before = this.#db.get('SELECT max(seq) AS seq FROM event WHERE seq < ?', seq)?.['seq'];
    return before === null || before === undefined ? seq - 1 : Number(before);
  }

  /** Calls `listener` whenever there may be a new event; returns the way to stop. */
  onRecorded(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** As it would go out now. */
  envelope(event: StoredEvent): EventEnvelope {
    return { ...envelopeHead(event, this.#clock.now()), data: { ...event.data } };
  }
}

/** Of the oldest one that is kept, what was before it is not known: it claims the number before its own. */
const select = `SELECT event.*, coalesce((SELECT max(before.seq) FROM event before WHERE before.seq < event.seq),
  event.seq - 1) AS previous_seq FROM event`;

/** Of one text of an event, such as what a library says of an error; a few of these fit into one message. */
const longestText = 2000;

function cutLong(_key: string, value: unknown): unknown {
  const isLong = typeof value === 'string' && value.length > longestText;
  return isLong ? `${value.slice(0, longestText - 1).toWellFormed()}…` : value;
}
