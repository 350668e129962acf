import type { z } from 'zod';
import { channels } from '../../../protocol/mqtt/channels.ts';
import { maxPayloadBytes } from '../../../protocol/mqtt/head.ts';
import { parseTopic, type ParsedTopic, type StationAddress } from '../../../protocol/mqtt/topics.ts';
import { EventSequence, type Heard } from './event-sequence.ts';
import {
  alarmState,
  bayState,
  cameraState,
  healthState,
  quotaState,
  statusState,
  type AlarmState,
  type BayState,
  type CameraState,
  type HealthState,
  type QuotaState,
  type StatusState,
} from './fleet-state.ts';

/** A message as it came from the broker. */
export interface FleetMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly isRetained: boolean;
}

/** Everything that is known of one station. */
export interface Station {
  readonly address: StationAddress;
  status?: StatusState;
  health?: HealthState;
  quota?: QuotaState;
  readonly bays: Map<number, BayState>;
  readonly cameras: Map<string, CameraState>;
  readonly alarms: Map<string, AlarmState>;
  /** When it last said something; by its own clock where that was before we listened. */
  heardAt: number;
  /** By how much its clock is ahead of ours, the way of the message included; known once something came live. */
  clockAheadMs?: number;
  /** When the first message came live. */
  liveAt?: number;
  /** What it says its newest event is, at first and now; only what came live, so that it can be waited for. */
  claims?: { readonly first: number; readonly last: number };
  readonly events: EventSequence;
}

/** What a message changed, as far as somebody may want to hear of it at once. */
export type FleetChange =
  | { readonly kind: 'status'; readonly station: Station; readonly status: StatusState }
  | { readonly kind: 'alarm-raised'; readonly station: Station; readonly alarm: AlarmState }
  | { readonly kind: 'alarm-cleared'; readonly station: Station; readonly code: string }
  | { readonly kind: 'event'; readonly station: Station; readonly heard: Heard; readonly type: string }
  | { readonly kind: 'response'; readonly station: Station; readonly response: Response };

type Response = z.output<typeof channels.response.payload>;

/** Why a message was not taken: each is counted. */
export type Rejection = 'topic' | 'too-large' | 'json' | 'schema' | 'limit' | 'late-will';

/** Whatever is sent, no more is kept. A station has at most some dozen bays and some hundred cameras. */
export const fleetLimits = {
  stations: 20_000,
  baysPerStation: 999,
  camerasPerStation: 2000,
  alarmsPerStation: 200,
  /** Bays, cameras and alarms in all. */
  documents: 400_000,
} as const;

/**
 * The state of all stations, from messages alone. Pure: `at` is the time at which a message came. The order in which
 * the retained messages of a broker come makes no difference.
 */
export class FleetModel {
  readonly stations = new Map<string, Station>();
  readonly rejected: Record<Rejection, number> = {
    topic: 0,
    'too-large': 0,
    json: 0,
    schema: 0,
    limit: 0,
    'late-will': 0,
  };
  taken = 0;
  #documents = 0;
  readonly #rememberedEvents: number | undefined;

  constructor({ rememberedEvents }: { rememberedEvents?: number } = {}) {
    this.#rememberedEvents = rememberedEvents;
  }

  /** Never throws, whatever comes. */
  accept(message: FleetMessage, at: number): FleetChange | undefined {
    const topic = parseTopic(message.topic);
    const kind = topic && kinds.get(topic.channel);
    if (!topic || !kind) return this.#reject('topic');
    if (message.payload.length > maxPayloadBytes) return this.#reject('too-large');
    if (message.payload.length === 0) return this.#clear(topic, message, at);
    let json: unknown;
    try {
      json = JSON.parse(
        Buffer.from(message.payload.buffer, message.payload.byteOffset, message.payload.length).toString(),
      );
    } catch {
      return this.#reject('json');
    }
    const key = keyOf(topic);
    const known = this.stations.get(key);
    if (!known && this.stations.size >= fleetLimits.stations) return this.#reject('limit');
    const station = known ?? this.#freshStation(topic);
    const change = this.#take(kind, station, topic, json, message, at);
    if (typeof change === 'string') return this.#reject(change);
    if (!known) this.stations.set(key, station);
    this.taken += 1;
    return change;
  }

  /**
   * Everything retained comes again: what does not is gone. Sessions and sequences stay, so that neither a late will
   * nor a gap passes unnoticed.
   */
  subscribedAnew(): void {
    this.#documents = 0;
    for (const station of this.stations.values()) {
      station.bays.clear();
      station.cameras.clear();
      station.alarms.clear();
      delete station.health;
      delete station.quota;
    }
  }

  #take(
    kind: Kind,
    station: Station,
    { name }: ParsedTopic,
    json: unknown,
    { isRetained }: FleetMessage,
    at: number,
  ): FleetChange | Rejection | undefined {
    switch (kind) {
      case 'status': {
        const status = statusState(json);
        if (!status) return 'schema';
        if (isLateWill(status, station.status)) return 'late-will';
        const { lastEventSeq } = status;
        this.#heard(station, status.ts, isRetained, at);
        // A will is as old as its connection.
        if (!isRetained && status.state !== 'lost') claim(station, lastEventSeq);
        const isNews = station.status?.state !== status.state || station.status.session !== status.session;
        station.status = status;
        return isNews ? { kind: 'status', station, status } : undefined;
      }
      case 'health': {
        const health = healthState(json);
        if (!health) return 'schema';
        const { lastEventSeq } = health;
        this.#heard(station, health.ts, isRetained, at);
        if (!isRetained) claim(station, lastEventSeq);
        station.health = health;
        return undefined;
      }
      case 'quota': {
        const quota = quotaState(json);
        if (!quota) return 'schema';
        station.quota = quota;
        return undefined;
      }
      case 'bay': {
        const bay = bayState(json);
        if (!bay || String(bay.bay) !== name) return 'schema';
        return this.#keep(station.bays, bay.bay, bay, fleetLimits.baysPerStation);
      }
      case 'camera': {
        const camera = cameraState(json);
        if (!camera || camera.serialNumber !== name) return 'schema';
        return this.#keep(station.cameras, camera.serialNumber, camera, fleetLimits.camerasPerStation);
      }
      case 'alarm': {
        const alarm = alarmState(json);
        if (!alarm || alarm.code !== name) return 'schema';
        const before = station.alarms.get(alarm.code);
        const rejection = this.#keep(station.alarms, alarm.code, alarm, fleetLimits.alarmsPerStation);
        if (rejection) return rejection;
        return before?.level === alarm.level ? undefined : { kind: 'alarm-raised', station, alarm };
      }
      case 'event': {
        const parsed = channels.event.payload.safeParse(json);
        // An event is never retained: one that is would come again with each subscription.
        if (!parsed.success || isRetained || parsed.data.type !== name) return 'schema';
        const event = parsed.data;
        if (event.previousSeq >= event.seq) return 'schema';
        station.heardAt = at;
        station.liveAt ??= at;
        return { kind: 'event', station, heard: station.events.hear(event), type: event.type };
      }
      case 'response': {
        const parsed = channels.response.payload.safeParse(json);
        if (!parsed.success || isRetained) return 'schema';
        return { kind: 'response', station, response: parsed.data };
      }
    }
  }

  #heard(station: Station, ts: number, isRetained: boolean, at: number): void {
    if (isRetained) {
      station.heardAt = Math.max(station.heardAt, Math.min(ts, at));
    } else {
      station.heardAt = at;
      station.liveAt ??= at;
      station.clockAheadMs = ts - at;
    }
  }

  /** An empty payload: the document is gone. */
  #clear(topic: ParsedTopic, { isRetained }: FleetMessage, at: number): FleetChange | undefined {
    const station = this.stations.get(keyOf(topic));
    if (!station) return undefined;
    if (!isRetained) station.heardAt = at;
    const { channel, name } = topic;
    if (channel === 'bay' && station.bays.delete(Number(name))) this.#documents -= 1;
    if (channel === 'camera' && station.cameras.delete(name)) this.#documents -= 1;
    if (channel === 'health') delete station.health;
    if (channel === 'quota') delete station.quota;
    if (channel === 'status') delete station.status;
    if (channel !== 'alarm' || !station.alarms.delete(name)) return undefined;
    this.#documents -= 1;
    return { kind: 'alarm-cleared', station, code: name };
  }

  #keep<K, V>(documents: Map<K, V>, key: K, document: V, limit: number): Rejection | undefined {
    if (!documents.has(key)) {
      if (documents.size >= limit || this.#documents >= fleetLimits.documents) return 'limit';
      this.#documents += 1;
    }
    documents.set(key, document);
    return undefined;
  }

  #freshStation({ department, post, station }: ParsedTopic): Station {
    return {
      address: { department, post, station },
      bays: new Map(),
      cameras: new Map(),
      alarms: new Map(),
      heardAt: 0,
      events: new EventSequence(this.#rememberedEvents),
    };
  }

  #reject(why: Rejection): undefined {
    this.rejected[why] += 1;
  }
}

type Kind = 'status' | 'health' | 'quota' | 'bay' | 'camera' | 'alarm' | 'event' | 'response';

/** By the fixed level of the topic. `info` and requests say nothing that is shown. */
const kinds: ReadonlyMap<string, Kind> = new Map(
  (['status', 'health', 'quota', 'bay', 'camera', 'alarm', 'event', 'response'] as const).map((kind) => [
    channels[kind].address.split('/')[0] ?? '',
    kind,
  ]),
);

/**
 * The broker may send the will of a connection that broke long after the station has come back. Anything else is
 * sent by the station itself and holds, also with a lower session: then its counters are gone, or it is another one
 * under the same name. Within one session nothing follows a will or a goodbye.
 */
function isLateWill(status: StatusState, known: StatusState | undefined): boolean {
  if (!known) return false;
  if (status.state === 'lost' && status.session < known.session) return true;
  const isSameSession = status.instance === known.instance && status.session === known.session;
  const isSameRunEarlier = status.instance === known.instance && status.session < known.session;
  return isSameRunEarlier || (isSameSession && rank[status.state] < rank[known.state]);
}

const rank = { online: 0, stopping: 1, offline: 2, lost: 2 } as const;

function keyOf({ department, post, station }: StationAddress): string {
  return `${department}/${post}/${station}`;
}

function claim(station: Station, lastEventSeq: number): void {
  station.claims = { first: station.claims?.first ?? lastEventSeq, last: lastEventSeq };
}
