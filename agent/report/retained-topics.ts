import { parseTopic, type StationTopics } from '../../protocol/mqtt/topics.ts';
import type { Database } from '../state/database.ts';

/** Whatever may be found at a broker. */
const mostHeard = 10_000;

/** What the broker may still hold of this station, kept over restarts: what is gone by then can still be cleared. */
export class RetainedTopics {
  readonly #db: Database;
  readonly #base: string;
  readonly #known: Set<string>;

  constructor(db: Database, { base }: StationTopics) {
    this.#db = db;
    this.#base = base;
    this.#known = new Set(db.all('SELECT topic FROM retained_topic').map((row) => String(row['topic'])));
  }

  all(): { channel: string; name: string }[] {
    return [...this.#known].flatMap((topic) => parseTopic(`${this.#base}/${topic}`) ?? []);
  }

  has(topic: string): boolean {
    return this.#known.has(this.#below(topic));
  }

  /** The broker holds it. */
  hear(topic: string): void {
    if (this.#known.size < mostHeard) this.#known.add(this.#below(topic));
  }

  /** To be called before it is published. */
  add(topic: string): void {
    const below = this.#below(topic);
    if (this.#known.has(below)) return;
    this.#db.run('INSERT OR IGNORE INTO retained_topic (topic) VALUES (?)', below);
    this.#known.add(below);
  }

  /** To be called once the broker acknowledged the empty payload. */
  remove(topic: string): void {
    this.#db.run('DELETE FROM retained_topic WHERE topic = ?', this.#below(topic));
    this.#known.delete(this.#below(topic));
  }

  #below(topic: string): string {
    return topic.slice(this.#base.length + 1);
  }
}
