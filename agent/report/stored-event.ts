import type { EventEnvelope, EventType } from '../../protocol/mqtt/events.ts';
import type { Row } from '../state/database.ts';

/** An event of the outbox, whether it waits or was delivered. */
export interface StoredEvent {
  readonly seq: number;
  readonly id: string;
  readonly type: EventType;
  /** Of the station's clock when it was recorded, Unix ms. */
  readonly at: number;
  readonly class: 'must' | 'may';
  /** Of the event before this one; 0 for the first. Samples that were dropped are not in between. */
  readonly previousSeq: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** An event as it goes out now. */
export interface OutgoingEvent {
  readonly seq: number;
  readonly type: EventType;
  /** The envelope, JSON. */
  readonly payload: string;
}

/** An event delivered later than this is marked historical. */
const historicalAfterMs = 60_000;

/** `row`: of the table `event`, with `previous_seq`. */
export function storedEvent(row: Row): StoredEvent {
  return {
    ...eventFacts(row),
    previousSeq: Number(row['previous_seq']),
    data: JSON.parse(String(row['data'])),
  };
}

/** Thousands a second go this way: their data is not parsed. */
export function outgoingEvent(
  row: Row,
  { previousSeq, now, isReplayed }: { previousSeq: number; now: number; isReplayed: boolean },
): OutgoingEvent {
  const facts = eventFacts(row);
  const head = envelopeHead({ ...facts, previousSeq }, now);
  const text = JSON.stringify(isReplayed ? { ...head, historical: true } : head);
  const { seq, type } = facts;
  return { seq, type, payload: `${text.slice(0, -1)},"data":${String(row['data'])}}` };
}

export function envelopeHead(event: Omit<StoredEvent, 'data'>, now: number): Omit<EventEnvelope, 'data'> {
  const { id, seq, previousSeq, class: kind, at, type } = event;
  return {
    v: 1,
    id,
    seq,
    previousSeq,
    class: kind,
    ts: new Date(at).toISOString(),
    historical: now - at > historicalAfterMs,
    type,
  };
}

function eventFacts(row: Row): Omit<StoredEvent, 'previousSeq' | 'data'> {
  return {
    seq: Number(row['seq']),
    id: String(row['id']),
    type: String(row['type']) as EventType,
    at: Number(row['at']),
    class: row['class'] === 'may' ? 'may' : 'must',
  };
}
