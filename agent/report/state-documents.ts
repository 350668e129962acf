import type { EventType } from '../../protocol/mqtt/events.ts';
import type { BayMessage, CameraMessage, QuotaMessage } from '../../protocol/mqtt/messages.ts';
import type { StationTopics } from '../../protocol/mqtt/topics.ts';
import type { CameraHealth } from '../../dock/camera/camera.ts';
import type { Clock } from '../../dock/clock.ts';
import type { Register } from '../enrolment/register.ts';
import type { BayBoard } from '../session/bay-board.ts';
import type { Database } from '../state/database.ts';
import type { Outbox } from './outbox.ts';

export interface StateDocument {
  readonly topic: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

interface Sources {
  readonly clock: Clock;
  readonly db: Database;
  readonly board: BayBoard;
  readonly register: Register;
  readonly outbox: Outbox;
  readonly topics: StationTopics;
}

/** What a document says, without the time and number of this saying. */
type Content<T> = Omit<T, 'v' | 'ts' | 'seq'>;

type Key = `bay ${number}` | `camera ${string}` | 'quota';

/** After these the quota, and the document of their camera, may say something else. */
const enrolmentEvents: ReadonlySet<EventType> = new Set([
  'camera-enrolled',
  'enrolment-refused',
  'camera-retired',
]);

/** The retained documents of the station: which have changed, and what they say now. */
export class StateDocuments {
  readonly #sources: Sources;
  readonly #changed = new Set<Key>();
  readonly #listeners = new Set<() => void>();
  /** What each topic last said: a mark is a hint, only another content is a change. */
  readonly #published = new Map<string, string>();
  #seq = 0;

  constructor(sources: Sources) {
    this.#sources = sources;
    sources.board.onChange((bay) => {
      this.#mark(`bay ${bay}`);
      // A camera's document follows its session: written when the bay comes to rest.
      const state = sources.board.get(bay);
      const isAtRest = state && ['ready', 'refused', 'attention'].includes(state.phase);
      if (isAtRest && state.serialNumber !== undefined) this.#mark(`camera ${state.serialNumber}`);
    });
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

  /** Everything is to be published again. */
  forgetPublished(): void {
    const { board, db } = this.#sources;
    this.#published.clear();
    this.#mark('quota');
    for (const { bay } of board.all()) this.#mark(`bay ${bay}`);
    for (const row of db.all('SELECT serial_number FROM camera'))
      this.#mark(`camera ${String(row['serial_number'])}`);
  }

  /** What says something else than at the last call, as it is now. */
  async takeChanged(): Promise<StateDocument[]> {
    const keys = [...this.#changed];
    this.#changed.clear();
    const documents: StateDocument[] = [];
    for (const key of keys) {
      const { topic, content } = await this.#document(key);
      const text = content && JSON.stringify(content);
      if (text === undefined || this.#published.get(topic) === text) continue;
      this.#published.set(topic, text);
      documents.push({ topic, payload: { ...this.#head(), ...content } });
    }
    return documents;
  }

  #mark(key: Key): void {
    this.#changed.add(key);
    for (const listener of this.#listeners) listener();
  }

  async #document(key: Key): Promise<{ topic: string; content: object | undefined }> {
    const { topics } = this.#sources;
    if (key === 'quota') return { topic: topics.quota, content: await this.#quota() };
    const [kind, name = ''] = key.split(' ');
    if (kind === 'bay') return { topic: topics.bay(Number(name)), content: this.#bay(Number(name)) };
    return { topic: topics.camera(name), content: await this.#camera(name) };
  }

  #head(): { v: 1; ts: string; seq: number } {
    return { v: 1, ts: new Date(this.#sources.clock.now()).toISOString(), seq: ++this.#seq };
  }

  async #quota(): Promise<Content<QuotaMessage>> {
    const { headcount, quota, row, enrolled, refused, citation } = await this.#sources.register.usage();
    return { headcountSource: 'configuration', headcount, quota, row, enrolled, refused, citation };
  }

  #bay(bay: number): Content<BayMessage> | undefined {
    const state = this.#sources.board.get(bay);
    if (!state) return undefined;
    const { since: _, ...facts } = state;
    return facts;
  }

  async #camera(serialNumber: string): Promise<Content<CameraMessage> | undefined> {
    const { db, register } = this.#sources;
    const camera = db.get('SELECT * FROM camera WHERE serial_number = ?', serialNumber);
    if (!camera) return undefined;
    const clockRow = db.get(
      `SELECT * FROM docking_session WHERE serial_number = ? AND clock_offset_ms IS NOT NULL
       ORDER BY started_at DESC LIMIT 1`,
      serialNumber,
    );
    const standing = await register.standing(serialNumber);
    const health =
      camera['health'] === null ? undefined : (JSON.parse(String(camera['health'])) as CameraHealth);
    return {
      serialNumber,
      model: String(camera['model']),
      firmware: String(camera['firmware']),
      enrolment: standing.kind === 'enrolled' || standing.kind === 'retired' ? standing.kind : 'not-enrolled',
      hasKey: standing.kind !== 'unknown' && standing.publicKey !== undefined,
      lastDockedAt: new Date(Number(camera['last_docked_at'])).toISOString(),
      ...pick(health, [
        'batteryPercent',
        'batteryMillivolts',
        'batteryCycles',
        'uptimeSeconds',
        'errorCounters',
        'isCharging',
        'temperatureCelsius',
        'storageTotalBytes',
        'storageFreeBytes',
      ]),
      ...(clockRow && {
        clockOffsetMs: Number(clockRow['clock_residual_ms'] ?? clockRow['clock_offset_ms']),
        clockUncertaintyMs: Number(
          clockRow['clock_residual_uncertainty_ms'] ?? clockRow['clock_uncertainty_ms'],
        ),
        ...(clockRow['clock_drift_ppm'] !== null && { clockDriftPpm: Number(clockRow['clock_drift_ppm']) }),
      }),
    };
  }
}

function pick<T extends object, K extends keyof T>(
  from: T | undefined,
  keys: readonly K[],
): Partial<Pick<T, K>> {
  const picked: Partial<Pick<T, K>> = {};
  for (const key of keys) if (from?.[key] !== undefined) picked[key] = from[key];
  return picked;
}
