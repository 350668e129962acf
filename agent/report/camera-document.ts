import type { CameraMessage } from '../../protocol/mqtt/documents.ts';
import { dayOf, serviceEndsOn } from '../../protocol/norm/service-life.ts';
import type { CameraHealth } from '../../dock/camera/camera.ts';
import type { Clock } from '../../dock/clock.ts';
import type { Register } from '../enrolment/register.ts';
import type { Database } from '../state/database.ts';

/** What was last known of a camera; undefined for one that was never seen. */
export async function cameraDocument(
  serialNumber: string,
  { db, register, clock }: { db: Database; register: Register; clock: Clock },
): Promise<Omit<CameraMessage, 'v' | 'ts' | 'seq' | 'storageSecondsUntilFull'> | undefined> {
  const camera = db.get('SELECT * FROM camera WHERE serial_number = ?', serialNumber);
  if (!camera) return undefined;
  const clockRow = db.get(
    `SELECT * FROM docking_session WHERE serial_number = ? AND clock_offset_ms IS NOT NULL
     ORDER BY started_at DESC LIMIT 1`,
    serialNumber,
  );
  const outcome = db.get(
    `SELECT outcome FROM docking_session WHERE serial_number = ? AND outcome IS NOT NULL
     ORDER BY started_at DESC LIMIT 1`,
    serialNumber,
  )?.['outcome'];
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
    ...(outcome !== undefined && { lastSessionOutcome: String(outcome) }),
    ...(standing.kind !== 'unknown' &&
      standing.commissionedOn &&
      serviceLife(standing.commissionedOn, dayOf(clock.now()))),
  };
}

function serviceLife(commissionedOn: string, day: string): { commissionedOn: string; serviceEndsOn: string } {
  return { commissionedOn, serviceEndsOn: serviceEndsOn({ item: 'camera', commissionedOn }, day) };
}

function pick<T extends object, K extends keyof T>(
  from: T | undefined,
  keys: readonly K[],
): Partial<Pick<T, K>> {
  const picked: Partial<Pick<T, K>> = {};
  for (const key of keys) if (from?.[key] !== undefined) picked[key] = from[key];
  return picked;
}
