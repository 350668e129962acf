import type { FleetMessage } from '../../agent/cli/fleet/fleet-model.ts';
import type {
  AlarmMessage,
  BayMessage,
  CameraMessage,
  HealthMessage,
  QuotaMessage,
  StatusMessage,
} from '../../protocol/mqtt/documents.ts';
import type { EventEnvelope } from '../../protocol/mqtt/events.ts';
import { stationTopics, type StationTopics } from '../../protocol/mqtt/topics.ts';

/** When the tests take place. */
export const startAt = Date.UTC(2026, 10, 23, 6);

/** Messages of one station as the contract has them, typed by it. */
export class StationMessages {
  readonly topics: StationTopics;
  at = startAt;

  constructor(station = 's1', { department = 'almaty', post = 'kordai' } = {}) {
    this.topics = stationTopics({ department, post, station });
  }

  status(fields: Partial<StatusMessage> = {}): FleetMessage {
    const message: StatusMessage = {
      ...this.#head(),
      state: 'online',
      reason: 'start',
      session: 1,
      boot: 1,
      instance: 'a',
      version: '1.0.0',
      lastEventSeq: 0,
      ...fields,
    };
    return this.#message(this.topics.status, message);
  }

  health(fields: Partial<HealthMessage> = {}): FleetMessage {
    const message: HealthMessage = {
      ...this.#head(),
      level: 'ok',
      problems: 0,
      codes: '',
      clockTrusted: 1,
      lineFaults: 0,
      registerInDoubt: 0,
      waitingEvents: 0,
      waitingEventBytes: 0,
      lastEventSeq: 0,
      droppedSamples: 0,
      camerasDocked: 0,
      camerasEnrolled: 0,
      quota: 1,
      alarms: 0,
      ...fields,
    };
    return this.#message(this.topics.health, message);
  }

  quota(fields: Partial<QuotaMessage> = {}): FleetMessage {
    const message: QuotaMessage = {
      ...this.#head(),
      headcount: 40,
      headcountSource: 'unsigned',
      quota: 5,
      row: 1,
      enrolled: 0,
      refused: 0,
      citation: 'order 1358, row 1',
      ...fields,
    };
    return this.#message(this.topics.quota, message);
  }

  bay(bay: number, fields: Partial<BayMessage> = {}): FleetMessage {
    const message: BayMessage = {
      ...this.#head(),
      bay,
      phase: 'empty',
      since: new Date(this.at).toISOString(),
      recordingsDone: 0,
      recordingsListed: 0,
      bytesDone: 0,
      bytesPlanned: 0,
      bytesPerSecond: 0,
      ...fields,
    };
    return this.#message(this.topics.bay(bay), message);
  }

  camera(serialNumber: string, fields: Partial<CameraMessage> = {}): FleetMessage {
    const message: CameraMessage = {
      ...this.#head(),
      serialNumber,
      model: 'BC',
      firmware: '1',
      enrolment: 'enrolled',
      hasKey: true,
      lastDockedAt: new Date(this.at).toISOString(),
      ...fields,
    };
    return this.#message(this.topics.camera(serialNumber), message);
  }

  alarm(code: string, fields: Partial<AlarmMessage> = {}): FleetMessage {
    const message: AlarmMessage = {
      ...this.#head(),
      code,
      level: 'warning',
      since: new Date(this.at).toISOString(),
      meaning: 'something is wrong',
      nextStep: 'look at it',
      subjects: [],
      ...fields,
    };
    return this.#message(this.topics.alarm(code), message);
  }

  event(seq: number, fields: Partial<EventEnvelope> = {}): FleetMessage {
    const message: EventEnvelope = {
      ...this.#head(),
      id: eventId(seq),
      seq,
      previousSeq: seq - 1,
      class: 'must',
      historical: false,
      type: 'agent-stopping',
      data: {},
      ...fields,
    };
    return live(this.#message(this.topics.event(message.type), message));
  }

  cleared(topic: string): FleetMessage {
    return { topic, payload: new Uint8Array(), isRetained: false };
  }

  #head(): { v: 1; ts: string; seq: number } {
    return { v: 1, ts: new Date(this.at).toISOString(), seq: 1 };
  }

  #message(topic: string, message: object): FleetMessage {
    return { topic, payload: Buffer.from(JSON.stringify(message)), isRetained: true };
  }
}

/** The same as it comes to whoever was subscribed already. */
export function live(message: FleetMessage): FleetMessage {
  return { ...message, isRetained: false };
}

/** A UUID of version 7 that sorts by `seq`, as those of a station do. */
export function eventId(seq: number, draw = 0): string {
  const ms = (startAt + seq).toString(16).padStart(12, '0');
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7000-8000-${draw.toString(16).padStart(12, '0')}`;
}
