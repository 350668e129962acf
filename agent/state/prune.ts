import type { Database } from './database.ts';

const dayMs = 24 * 3600 * 1000;
const keptSessionsMs = 400 * dayMs;
const mostSessions = 100_000;
const keptQuarantineMs = 400 * dayMs;
const mostQuarantined = 100_000;
const keptFaultsMs = 400 * dayMs;
const keptStrangersMs = 400 * dayMs;
const mostStrangers = 10_000;
const mostRefusals = 100_000;
/** One call does a bounded piece of work; the next night goes on. */
const mostAtOnce = 5000;

/**
 * Forgets what is old or too much: sessions, quarantine notes, fault counts, refusals, and cameras that were never
 * enrolled here and left nothing. A session stays while it is open, while a recording or a pull belongs to it, while an
 * event of it waits for the broker, and while it is the last that set the clock of its camera. Whom the post has
 * enrolled or retired, and every decision that took or freed a place, is its account before the law: it stays. Of an old
 * refusal only the text goes, so that the chain of the audit holds.
 */
export function pruneHistory(
  db: Database,
  now: number,
): { sessions: number; quarantined: number; faults: number; cameras: number; refusals: number } {
  return db.transaction(() => ({
    sessions: db.run(
      `DELETE FROM docking_session WHERE id IN (
         SELECT id FROM docking_session AS session
         WHERE ended_at IS NOT NULL
           AND (ended_at < ? OR id <= (SELECT id FROM docking_session ORDER BY id DESC LIMIT 1 OFFSET ?))
           AND NOT EXISTS (SELECT 1 FROM recording WHERE session_id = session.id)
           AND NOT EXISTS (SELECT 1 FROM intake WHERE session_id = session.id)
           AND id NOT IN (SELECT coalesce(data ->> 'sessionId', '') FROM event JOIN waiting_event USING (seq))
           AND (clock_set_at IS NULL OR EXISTS (
             SELECT 1 FROM docking_session AS later WHERE later.serial_number = session.serial_number
               AND later.started_at > session.started_at AND later.clock_set_at IS NOT NULL))
         ORDER BY ended_at LIMIT ?)`,
      now - keptSessionsMs,
      mostSessions,
      mostAtOnce,
    ),
    quarantined: db.run(
      `DELETE FROM quarantine WHERE last_at < ? OR source_key IN
         (SELECT source_key FROM quarantine ORDER BY last_at DESC LIMIT ? OFFSET ?)`,
      now - keptQuarantineMs,
      mostAtOnce,
      mostQuarantined,
    ),
    faults: db.run('DELETE FROM fault WHERE last_at < ?', now - keptFaultsMs),
    cameras: forgetStrangers(db, now),
    refusals: db.run(
      `UPDATE audit SET record = NULL WHERE number IN (
         SELECT number FROM audit WHERE record ->> 'act' = 'refused' AND (record ->> 'at' < ? OR number <= (
           SELECT number FROM audit WHERE record ->> 'act' = 'refused' ORDER BY number DESC LIMIT 1 OFFSET ?))
         ORDER BY number LIMIT ?)`,
      new Date(now - keptStrangersMs).toISOString(),
      mostRefusals,
      mostAtOnce,
    ),
  }));
}

/** Any device may come up with a serial number of its own, and with another one every minute. */
function forgetStrangers(db: Database, now: number): number {
  const forgotten = db.all(
    `SELECT serial_number FROM (
       SELECT serial_number, last_docked_at, row_number() OVER (ORDER BY last_docked_at DESC) AS place FROM camera
       WHERE serial_number NOT IN (SELECT serial_number FROM enrolment WHERE item = 'camera' AND state != 'refused')
         AND NOT EXISTS (SELECT 1 FROM recording WHERE recording.serial_number = camera.serial_number)
         AND NOT EXISTS (SELECT 1 FROM docking_session AS session
                         WHERE session.serial_number = camera.serial_number AND session.ended_at IS NULL)
     ) WHERE last_docked_at < ? OR place > ? ORDER BY last_docked_at LIMIT ?`,
    now - keptStrangersMs,
    mostStrangers,
    mostAtOnce,
  );
  for (const { serial_number: serialNumber } of forgotten) {
    const serial = String(serialNumber);
    db.run('DELETE FROM camera WHERE serial_number = ?', serial);
    db.run('DELETE FROM proven_attachment WHERE serial_number = ?', serial);
    db.run("DELETE FROM enrolment WHERE item = 'camera' AND serial_number = ? AND state = 'refused'", serial);
  }
  return forgotten.length;
}
