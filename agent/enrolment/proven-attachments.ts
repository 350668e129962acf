import type { Attachment } from '../../dock/camera/camera.ts';
import type { Clock } from '../../dock/clock.ts';
import type { Database } from '../state/database.ts';

/** Between the time we took and the one the kernel counts from. */
const slackMs = 2000;

/**
 * Cameras that had proved their key before they were unlocked and came back as a mere storage. Such a camera cannot
 * prove itself again until it is taken out; as long as it has not been, it is the same one. Written down before the
 * unlock as well, so that an agent that dies in between still knows what came back on the same port right after.
 */
export class ProvenAttachments {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #reenumerationMs: number;

  constructor(db: Database, clock: Clock, reenumerationMs: number) {
    this.#db = db;
    this.#clock = clock;
    this.#reenumerationMs = reenumerationMs;
  }

  /** Whether what is attached is the camera that proved itself. */
  covers(serialNumber: string, { place, id, attachedAt }: Attachment): boolean {
    const row = this.#db.get('SELECT * FROM proven_attachment WHERE serial_number = ?', serialNumber);
    if (row?.['place'] !== place) return false;
    const sinceProofMs = attachedAt - Number(row['proven_at']);
    const isRightAfter = sinceProofMs >= -slackMs && sinceProofMs <= this.#reenumerationMs;
    return row['attach_id'] === id || isRightAfter;
  }

  /** `mayReappear`: the camera is about to be unlocked, after a proof; what comes back right after is it. */
  note(serialNumber: string, { place, id }: Attachment, { mayReappear }: { mayReappear: boolean }): void {
    this.#db.run(
      `INSERT INTO proven_attachment (serial_number, place, attach_id, proven_at) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET place = excluded.place, attach_id = excluded.attach_id,
         proven_at = excluded.proven_at`,
      serialNumber,
      place,
      id,
      mayReappear ? Math.floor(this.#clock.now()) : 0,
    );
  }
}
