import type { CameraHealth } from '../../dock/camera/camera.ts';
import type { Database } from '../state/database.ts';

const dayMs = 24 * 3600 * 1000;
/** What was recorded and stored in the last two weeks is what the next days will bring. */
const windowMs = 14 * dayMs;
/** A rate from less than a day is none. */
const leastMs = dayMs;

/** Bytes a day that came into the vault; undefined until there is a day to tell from. */
export function storedBytesPerDay(db: Database, now: number): number | undefined {
  const row = db.get(
    'SELECT sum(size_bytes) AS bytes, min(stored_at) AS since FROM recording WHERE stored_at BETWEEN ? AND ?',
    now - windowMs,
    now,
  );
  return perDay(row?.['bytes'], row?.['since'], now);
}

/** How full a camera is and when it will be, as of its last docking. */
export interface CameraForecast {
  readonly serialNumber: string;
  readonly storageTotalBytes: number;
  /** As it said, and what was removed from it since. */
  readonly storageFreeBytes: number;
  readonly recordedBytesPerDay?: number;
  /** From now on, if it goes on recording so and is not docked. */
  readonly secondsUntilFull?: number;
}

/** Of the cameras that tell about their storage. */
export function cameraForecasts(db: Database, now: number): CameraForecast[] {
  return db
    .all(
      'SELECT serial_number, last_docked_at, health FROM camera WHERE health IS NOT NULL ORDER BY serial_number',
    )
    .flatMap((camera) => {
      const health = JSON.parse(String(camera['health'])) as CameraHealth;
      const { storageTotalBytes, storageFreeBytes } = health;
      if (storageTotalBytes === undefined || storageFreeBytes === undefined) return [];
      const serialNumber = String(camera['serial_number']);
      const dockedAt = Number(camera['last_docked_at']);
      const row = db.get(
        `SELECT sum(size_bytes) FILTER (WHERE removed_at >= ?) AS removed,
                sum(size_bytes) FILTER (WHERE stored_at >= ?) AS recorded,
                min(stored_at) FILTER (WHERE stored_at >= ?) AS since
         FROM recording WHERE serial_number = ?`,
        dockedAt,
        now - windowMs,
        now - windowMs,
        serialNumber,
      );
      const free = Math.min(storageTotalBytes, storageFreeBytes + Number(row?.['removed'] ?? 0));
      const rate = perDay(row?.['recorded'], row?.['since'], now);
      const leftMs = rate ? (free / rate) * dayMs - Math.max(0, now - dockedAt) : undefined;
      return [
        {
          serialNumber,
          storageTotalBytes,
          storageFreeBytes: free,
          ...(rate !== undefined && { recordedBytesPerDay: Math.round(rate) }),
          ...(leftMs !== undefined && { secondsUntilFull: Math.max(0, Math.round(leftMs / 1000)) }),
        },
      ];
    });
}

function perDay(bytes: unknown, since: unknown, now: number): number | undefined {
  if (typeof bytes !== 'number' || typeof since !== 'number' || now - since < leastMs) return undefined;
  return bytes / ((now - since) / dayMs);
}
