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

type Key = `bay ${number}` | `camera ${string}` | 'quota';

/** The retained documents of the station: which have changed, and what they say now. */
export class StateDocuments {
  readonly #sources: Sources;
  readonly #changed = new Set<Key>();
  readonly #listeners = new Set<() => void>();
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
    sources.outbox.onRecorded(() => this.#mark('quota'));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** After a new connection, the broker may know nothing. */
  markAllChanged(): void {
    const { board, db } = this.#sources;
    this.#mark('quota');
    for (const { bay } of board.all()) this.#mark(`bay ${bay}`);
    for (const row of db.all('SELECT serial_number FROM camera'))
      this.#mark(`camera ${String(row['serial_number'])}`);
  }

  /** What changed since the last call, as it is now. */
  async takeChanged(): Promise<StateDocument[]> {
    const keys = [...this.#changed];
    this.#changed.clear();
    const documents = await Promise.all(keys.map((key) => this.#document(key)));
    return documents.filter((document) => document !== undefined);
  }

  #mark(key: Key): void {
    this.#changed.add(key);
    for (const listener of this.#listeners) listener();
  }

  async #document(key: Key): Promise<StateDocument | undefined> {
    const { topics } = this.#sources;
    if (key === 'quota') return { topic: topics.quota, payload: await this.#quota() };
    const [kind, name = ''] = key.split(' ');
    if (kind === 'bay') {
      const payload = this.#bay(Number(name));
      return payload && { topic: topics.bay(Number(name)), payload };
    }
    const payload = await this.#camera(name);
    return payload && { topic: topics.camera(name), payload };
  }

  #head(): { v: 1; ts: string; seq: number } {
    return { v: 1, ts: new Date(this.#sources.clock.now()).toISOString(), seq: ++this.#seq };
  }

  async #quota(): Promise<QuotaMessage> {
    const { headcount, quota, row, enrolled, refused, citation } = await this.#sources.register.usage();
    const numbers = { headcount, quota, row, enrolled, refused, citation };
    return { ...this.#head(), headcountSource: 'configuration', ...numbers };
  }

  #bay(bay: number): BayMessage | undefined {
    const state = this.#sources.board.get(bay);
    if (!state) return undefined;
    const { since: _, ...facts } = state;
    return { ...this.#head(), ...facts };
  }

  async #camera(serialNumber: string): Promise<CameraMessage | undefined> {
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
      ...this.#head(),
      serialNumber,
      model: String(camera['model']),
      firmware: String(camera['firmware']),
      enrolment: standing.kind === 'enrolled' || standing.kind === 'retired' ? standing.kind : 'not-enrolled',
      hasKey: camera['public_key'] !== null,
      lastDockedAt: new Date(Number(camera['last_docked_at'])).toISOString(),
      ...pick(health, [
        'batteryPercent',
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
