import type { EventType } from '../../protocol/mqtt/events.ts';
import type {
  AlarmMessage,
  BayMessage,
  CameraMessage,
  HealthMessage,
  InfoMessage,
  QuotaMessage,
} from '../../protocol/mqtt/documents.ts';
import { channels, type ChannelName } from '../../protocol/mqtt/channels.ts';
import { parseTopic, type StationTopics } from '../../protocol/mqtt/topics.ts';
import { isoTimes } from '../control/iso-times.ts';
import type { Clock } from '../../dock/clock.ts';
import type { Register } from '../enrolment/register.ts';
import { healthContent } from '../health/health-message.ts';
import type { StationHealth } from '../health/station-health.ts';
import type { BayBoard } from '../session/bay-board.ts';
import type { Database } from '../state/database.ts';
import type { Alarms } from './alarms.ts';
import type { BrokerMessage } from './broker-connection.ts';
import { cameraDocument } from './camera-document.ts';
import type { Outbox } from './outbox.ts';
import { RetainedTopics } from './retained-topics.ts';

export interface StateDocument {
  readonly topic: string;
  readonly channel: ChannelName;
  /** Undefined for what is gone: the broker is to forget it. */
  readonly payload: Readonly<Record<string, unknown>> | undefined;
}

interface Sources {
  readonly clock: Clock;
  readonly db: Database;
  readonly board: BayBoard;
  readonly register: Register;
  readonly outbox: Outbox;
  readonly topics: StationTopics;
  readonly health?: StationHealth | undefined;
  readonly alarms?: Alarms | undefined;
  readonly info?: Omit<Content<InfoMessage>, 'protocolVersion'> | undefined;
}

/** What a document says, without the time and number of this saying. */
type Content<T> = Omit<T, 'v' | 'ts' | 'seq'>;

type Key = `bay ${string}` | `camera ${string}` | `alarm ${string}` | 'quota' | 'health' | 'info';

/** What there may be several of; one that is gone is cleared at the broker. */
const plural = ['bay', 'camera', 'alarm'] as const;
type Plural = (typeof plural)[number];

/** After these the quota, and the document of their camera, may say something else. */
const enrolmentEvents: ReadonlySet<EventType> = new Set([
  'camera-enrolled',
  'enrolment-refused',
  'camera-retired',
  'assignment-installed',
  'register-confirmed',
]);

const bayRefreshMs = (channels.bay.expirySeconds * 1000) / 2;

/** The retained documents of the station: which have changed, and what they say now. */
export class StateDocuments {
  readonly #sources: Sources;
  readonly #changed = new Set<Key>();
  readonly #listeners = new Set<() => void>();
  /** What each topic last said: a mark is a hint, only another content is a change. */
  readonly #published = new Map<string, string>();
  readonly #retained: RetainedTopics;
  #protocolVersion: 4 | 5 = 5;
  #refreshedMs = -Infinity;
  #seq: number;

  constructor(sources: Sources) {
    this.#sources = sources;
    // Grows also over restarts, without a write for each message.
    this.#seq = (sources.info?.boot ?? 0) * 2 ** 24;
    this.#retained = new RetainedTopics(sources.db, sources.topics);
    sources.board.onChange((bay) => {
      this.#mark(`bay ${bay}`);
      // A camera's document follows its session: written when the bay comes to rest.
      const state = sources.board.get(bay);
      const isAtRest = state && ['ready', 'refused', 'attention'].includes(state.phase);
      if (isAtRest && state.serialNumber !== undefined) this.#mark(`camera ${state.serialNumber}`);
    });
    sources.health?.onSample(() => {
      this.#mark('health');
      this.#refreshBays();
    });
    sources.alarms?.onChange((code) => this.#mark(`alarm ${code}`));
    sources.outbox.onRecorded((type, { serialNumber }) => {
      if (!enrolmentEvents.has(type)) return;
      this.#mark('quota');
      if (typeof serialNumber === 'string') this.#mark(`camera ${serialNumber}`);
    });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Where the broker may hold alarms and bays that are no more, from before the database was lost. A camera that is not
   * known any more was there all the same: what was said of it stays.
   */
  get filters(): string[] {
    const { base } = this.#sources.topics;
    return ['alarm/+', 'bay/+'].map((below) => `${base}/${below}`);
  }

  hear({ topic, payload, isRetained }: BrokerMessage): void {
    const parsed = parseTopic(topic);
    if (!isRetained || payload.length === 0 || !parsed || !topic.startsWith(`${this.#sources.topics.base}/`))
      return;
    const { channel, name } = parsed;
    if ((channel !== 'alarm' && channel !== 'bay') || this.#retained.has(topic)) return;
    this.#retained.hear(topic);
    this.#mark(`${channel} ${name}`);
  }

  /** Everything is to be published again, over a connection of this version; what is gone since is to be cleared. */
  forgetPublished(protocolVersion: 4 | 5): void {
    const { board, db, alarms } = this.#sources;
    this.#protocolVersion = protocolVersion;
    this.#published.clear();
    this.#mark('info');
    this.#mark('quota');
    this.#mark('health');
    for (const { bay } of board.all()) this.#mark(`bay ${bay}`);
    for (const row of db.all('SELECT serial_number FROM camera'))
      this.#mark(`camera ${String(row['serial_number'])}`);
    for (const code of alarms?.codes() ?? []) this.#mark(`alarm ${code}`);
    for (const { channel, name } of this.#retained.all())
      if (isPlural(channel)) this.#mark(`${channel} ${name}`);
  }

  /** What says something else than at the last call, as it is when its turn comes: of a post there may be thousands. */
  async *takeChanged(): AsyncGenerator<StateDocument> {
    const keys = [...this.#changed];
    for (const key of keys) {
      this.#changed.delete(key);
      const { topic, channel, content } = await this.#document(key);
      if (content === undefined) {
        if (!isPlural(channel) || !this.#retained.has(topic)) continue;
        this.#published.delete(topic);
        yield { topic, channel, payload: undefined };
        continue;
      }
      const text = JSON.stringify(content);
      // Collectors take a health that stays away for a station that is gone.
      if (channel !== 'health' && this.#published.get(topic) === text) continue;
      this.#published.set(topic, text);
      if (isPlural(channel)) this.#retained.add(topic);
      yield { topic, channel, payload: { ...this.#head(), ...content } };
    }
  }

  /** The broker has forgotten it. */
  cleared(topic: string): void {
    this.#retained.remove(topic);
  }

  /** Also what does not change is said again before the broker forgets it. */
  #refreshBays(): void {
    const { clock, board, topics } = this.#sources;
    if (clock.monotonic() - this.#refreshedMs < bayRefreshMs) return;
    this.#refreshedMs = clock.monotonic();
    for (const { bay } of board.all()) {
      this.#published.delete(topics.bay(bay));
      this.#mark(`bay ${bay}`);
    }
  }

  #mark(key: Key): void {
    this.#changed.add(key);
    for (const listener of this.#listeners) listener();
  }

  async #document(key: Key): Promise<{ topic: string; channel: ChannelName; content: object | undefined }> {
    const { topics, alarms } = this.#sources;
    const channel = key.split(' ', 1)[0] as Plural | 'quota' | 'health' | 'info';
    const name = key.slice(channel.length + 1);
    switch (channel) {
      case 'info':
        return { topic: topics.info, channel, content: this.#info() };
      case 'quota':
        return { topic: topics.quota, channel, content: await this.#quota() };
      case 'health':
        return { topic: topics.health, channel, content: await this.#health() };
      case 'bay':
        return { topic: topics.bay(Number(name)), channel, content: this.#bay(Number(name)) };
      case 'camera':
        return { topic: topics.camera(name), channel, content: await this.#camera(name) };
      case 'alarm': {
        const content: Content<AlarmMessage> | undefined = alarms?.document(name);
        return { topic: topics.alarm(name), channel, content };
      }
    }
  }

  #head(): { v: 1; ts: string; seq: number } {
    return { v: 1, ts: new Date(this.#sources.clock.now()).toISOString(), seq: ++this.#seq };
  }

  async #quota(): Promise<Content<QuotaMessage>> {
    const {
      headcount,
      quota,
      row,
      enrolled,
      refused,
      citation,
      audit,
      headcountSource,
      assignment,
      copiedAt,
    } = await this.#sources.register.usage();
    const copied = copiedAt !== undefined && { copiedAt: new Date(copiedAt).toISOString() };
    const source = { headcountSource, ...(assignment && { assignment }) };
    return { headcount, ...source, quota, row, enrolled, refused, citation, audit, ...copied };
  }

  async #health(): Promise<Content<HealthMessage> | undefined> {
    const { health, outbox, board, register, clock } = this.#sources;
    if (!health?.latest) return undefined;
    const { bytes, oldestAt } = outbox.waiting();
    const { enrolled, quota } = await register.usage();
    return healthContent(health.latest, {
      waitingEvents: outbox.depth(),
      waitingEventBytes: bytes,
      ...(oldestAt !== undefined && {
        oldestWaitingEventSeconds: Math.max(0, Math.round((clock.now() - oldestAt) / 1000)),
      }),
      lastEventSeq: outbox.lastSeq(),
      droppedSamples: outbox.droppedSamples(),
      camerasDocked: board.all().filter(({ serialNumber }) => serialNumber !== undefined).length,
      camerasEnrolled: enrolled,
      quota,
      alarms: this.#sources.alarms?.codes().length ?? 0,
    });
  }

  #bay(bay: number): Content<BayMessage> | undefined {
    const state = this.#sources.board.get(bay);
    if (!state) return undefined;
    return isoTimes(state);
  }

  async #camera(serialNumber: string): Promise<Content<CameraMessage> | undefined> {
    const document = await cameraDocument(serialNumber, this.#sources);
    const storageSecondsUntilFull = this.#sources.health?.latest?.cameras.find(
      (camera) => camera.serialNumber === serialNumber,
    )?.secondsUntilFull;
    return (
      document && { ...document, ...(storageSecondsUntilFull !== undefined && { storageSecondsUntilFull }) }
    );
  }

  #info(): Content<InfoMessage> | undefined {
    const { info } = this.#sources;
    return info && { ...info, protocolVersion: this.#protocolVersion };
  }
}

function isPlural(channel: string): channel is Plural {
  return plural.some((one) => one === channel);
}
