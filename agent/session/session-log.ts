import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { CameraHealth, CameraIdentity, ListedRecording } from '../../dock/camera/camera.ts';
import { uuidV7, type Clock, type RandomSource } from '../../dock/clock.ts';
import type { ClockMeasurement } from '../clock/measure.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database, Row } from '../state/database.ts';
import { sourceKeyOf } from '../vault/catalogue.ts';

export type SessionOutcome = 'complete' | 'interrupted' | 'refused' | 'attention';

/** The account of one docking session: listed = stored + held + quarantined + refused, or there is a gap. */
export interface SessionAccount {
  readonly listed: number;
  readonly stored: number;
  readonly held: number;
  readonly quarantined: number;
  readonly refused: number;
  readonly unaccounted: number;
  readonly removed: number;
  readonly storedBytes: number;
}

interface LogParts {
  readonly db: Database;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** A broken list may hold very many entries to refuse: all are counted, so many of a session become events. */
const mostRefusalEvents = 100;

type Counter = 'listed' | 'held' | 'quarantined' | 'refused' | 'removed';

/** Writes down one docking session as it happens; every entry is durable with its event when a call returns. */
export class SessionLog {
  readonly id: string;
  readonly bay: number;
  readonly serialNumber: string;
  readonly #parts: LogParts;

  private constructor(parts: LogParts, session: { id: string; bay: number; serialNumber: string }) {
    this.#parts = parts;
    this.id = session.id;
    this.bay = session.bay;
    this.serialNumber = session.serialNumber;
  }

  /** Opens the session and notes the camera as seen; the first of a docking says so. */
  static open(
    parts: LogParts,
    { bay, isFirst }: { bay: number; isFirst: boolean },
    identity: CameraIdentity,
  ): SessionLog {
    const { db, outbox, clock, random } = parts;
    const log = new SessionLog(parts, {
      id: uuidV7(clock, random),
      bay,
      serialNumber: identity.serialNumber,
    });
    const now = Math.floor(clock.now());
    const { serialNumber, model, firmware, hardwareRevision } = identity;
    db.transaction(() => {
      // A bay has one session at a time: one that is open could not be closed, for want of room for its end.
      closeInterruptedSessions(parts, bay);
      db.run(
        `INSERT INTO camera (serial_number, model, firmware, hardware_revision, public_key, first_seen_at,
           last_docked_at, last_bay) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (serial_number) DO UPDATE SET model = excluded.model, firmware = excluded.firmware,
           hardware_revision = excluded.hardware_revision, public_key = excluded.public_key,
           last_docked_at = excluded.last_docked_at,
           last_bay = excluded.last_bay`,
        serialNumber,
        model,
        firmware,
        hardwareRevision,
        identity.publicKey ?? null,
        now,
        now,
        bay,
      );
      db.run(
        'INSERT INTO docking_session (id, bay, serial_number, started_at) VALUES (?, ?, ?, ?)',
        log.id,
        bay,
        serialNumber,
        now,
      );
      if (isFirst) outbox.record('camera-docked', { bay, serialNumber, model, firmware, sessionId: log.id });
    });
    return log;
  }

  count(counter: Counter, by = 1): void {
    // The column comes from a closed list, not from outside.
    this.#parts.db.run(`UPDATE docking_session SET ${counter} = ${counter} + ? WHERE id = ?`, by, this.id);
  }

  health(health: CameraHealth): void {
    const { db, outbox } = this.#parts;
    db.transaction(() => {
      db.run(
        'UPDATE camera SET health = ? WHERE serial_number = ?',
        JSON.stringify(health),
        this.serialNumber,
      );
      const offset = db.get('SELECT clock_offset_ms FROM docking_session WHERE id = ?', this.id)?.[
        'clock_offset_ms'
      ];
      outbox.record('camera-sampled', {
        ...this.#who(),
        ...health,
        ...(typeof offset === 'number' && { clockOffsetMs: offset }),
      });
    });
  }

  noHealth(detail: string): void {
    this.#parts.outbox.record('health-missing', {
      ...this.#who(),
      code: 'camera.no-health',
      detail: detail.slice(0, 500),
    });
  }

  clockMeasured(measured: ClockMeasurement, driftPpm: number | undefined): void {
    const { db, outbox } = this.#parts;
    const { offsetMs, uncertaintyMs, method } = measured;
    db.transaction(() => {
      db.run(
        `UPDATE docking_session SET clock_offset_ms = ?, clock_uncertainty_ms = ?, clock_drift_ppm = ?,
           clock_method = ? WHERE id = ?`,
        offsetMs,
        uncertaintyMs,
        driftPpm ?? null,
        method,
        this.id,
      );
      const drift = driftPpm === undefined ? {} : { driftPpm };
      outbox.record('clock-measured', { ...this.#who(), offsetMs, uncertaintyMs, ...drift, method });
    });
  }

  clockSet(after: ClockMeasurement): void {
    const { db, outbox } = this.#parts;
    const { offsetMs, uncertaintyMs, measuredAt } = after;
    db.transaction(() => {
      db.run(
        `UPDATE docking_session SET clock_set_at = ?, clock_residual_ms = ?, clock_residual_uncertainty_ms = ?
         WHERE id = ?`,
        Math.floor(measuredAt),
        offsetMs,
        uncertaintyMs,
        this.id,
      );
      outbox.record('clock-set', { ...this.#who(), residualMs: offsetMs, uncertaintyMs });
    });
  }

  clockNotSet(code: ErrorCode, detail: string): void {
    this.#parts.outbox.record('clock-not-set', { ...this.#who(), code, detail: detail.slice(0, 500) });
  }

  recordingsRefused(refusals: readonly { recording: ListedRecording; code: ErrorCode }[]): void {
    if (refusals.length === 0) return;
    this.#parts.db.transaction(() => {
      this.count('refused', refusals.length);
      for (const { recording, code } of refusals.slice(0, mostRefusalEvents)) {
        this.#parts.outbox.record('recording-refused', { ...this.#who(), ...named(recording), code });
      }
    });
  }

  /** An event tells of it once, and again when the reason changes; each session's account counts it. */
  recordingQuarantined(recording: ListedRecording, code: ErrorCode, detail: string): void {
    const { db, outbox, clock } = this.#parts;
    const now = Math.floor(clock.now());
    const sourceKey = sourceKeyOf(this.serialNumber, recording);
    db.transaction(() => {
      const known = db.get('SELECT code FROM quarantine WHERE source_key = ?', sourceKey);
      db.run(
        `INSERT INTO quarantine (source_key, serial_number, path, size_bytes, code, detail, first_at, last_at, attempts)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)
         ON CONFLICT (source_key) DO UPDATE SET code = excluded.code, detail = excluded.detail,
           last_at = excluded.last_at, attempts = attempts + 1`,
        sourceKey,
        this.serialNumber,
        recording.path,
        String(recording.sizeBytes),
        code,
        detail.slice(0, 500),
        now,
        now,
      );
      this.count('quarantined');
      if (known?.['code'] === code) return;
      const event = { ...this.#who(), ...named(recording), code, detail: detail.slice(0, 500) };
      outbox.record('recording-quarantined', event);
    });
  }

  /** Announces a removal before the camera is asked, so that a crash in between is looked after. */
  removalIntended(recordingId: string): void {
    this.#parts.db.run(
      'INSERT INTO removal (recording_id, intended_at) VALUES (?, ?) ON CONFLICT DO NOTHING',
      recordingId,
      Math.floor(this.#parts.clock.now()),
    );
  }

  recordingRemoved(recordingId: string, sha256: string): void {
    const { db, outbox, clock } = this.#parts;
    db.transaction(() => {
      db.run('UPDATE recording SET removed_at = ? WHERE id = ?', Math.floor(clock.now()), recordingId);
      db.run('DELETE FROM removal WHERE recording_id = ?', recordingId);
      this.count('removed');
      outbox.record('recording-removed', { ...this.#who(), recordingId, sha256 });
    });
  }

  removalFailed(recordingId: string, code: ErrorCode, detail: string): void {
    const { db, outbox } = this.#parts;
    db.transaction(() => {
      // A refusal is an answer: should the recording disappear later, it was not us.
      if (code === 'removal.refused') db.run('DELETE FROM removal WHERE recording_id = ?', recordingId);
      const event = { ...this.#who(), recordingId, code, detail: detail.slice(0, 500) };
      outbox.record('removal-failed', event);
    });
  }

  /** Removals announced earlier whose recording the camera no longer lists, in a whole list: they happened. */
  settleRemovals(listed: readonly ListedRecording[]): void {
    const { db } = this.#parts;
    // A list that is not readable in full does not show what is gone.
    if (listed.some(({ defect }) => defect !== undefined)) return;
    const rows = db.all(
      `SELECT recording.id, recording.source_key, recording.sha256 FROM removal
       JOIN recording ON recording.id = removal.recording_id WHERE recording.serial_number = ?`,
      this.serialNumber,
    );
    if (rows.length === 0) return;
    const present = new Set(listed.map((recording) => sourceKeyOf(this.serialNumber, recording)));
    for (const row of rows) {
      if (!present.has(String(row['source_key'])))
        this.recordingRemoved(String(row['id']), String(row['sha256']));
    }
  }

  pulling(ms: number): void {
    this.#parts.db.run(
      'UPDATE docking_session SET pull_ms = pull_ms + ? WHERE id = ?',
      Math.round(ms),
      this.id,
    );
  }

  account(): SessionAccount {
    const row = this.#parts.db.get('SELECT * FROM docking_session WHERE id = ?', this.id);
    return accountOf(row ?? {});
  }

  close(outcome: SessionOutcome, code: ErrorCode | undefined): SessionAccount {
    return closeSession(this.#parts, this.id, outcome, code);
  }

  #who(): { serialNumber: string; sessionId: string } {
    return { serialNumber: this.serialNumber, sessionId: this.id };
  }
}

/** Closes what a crash left open, in one bay or in all; the account is taken from what was written down. */
export function closeInterruptedSessions(parts: LogParts, bay?: number): void {
  for (const row of parts.db.all('SELECT id, bay FROM docking_session WHERE ended_at IS NULL')) {
    if (bay !== undefined && row['bay'] !== bay) continue;
    closeSession(parts, String(row['id']), 'interrupted', undefined);
  }
}

/** The latest clock setting of a camera before this session: when, and what was left of the offset. */
export function lastClockSetting(
  db: Database,
  serialNumber: string,
): { setAt: number; residualMs: number; uncertaintyMs: number } | undefined {
  const row = db.get(
    `SELECT clock_set_at, clock_residual_ms, clock_residual_uncertainty_ms FROM docking_session
     WHERE serial_number = ? AND clock_set_at IS NOT NULL ORDER BY started_at DESC LIMIT 1`,
    serialNumber,
  );
  if (!row) return undefined;
  return {
    setAt: Number(row['clock_set_at']),
    residualMs: Number(row['clock_residual_ms']),
    uncertaintyMs: Number(row['clock_residual_uncertainty_ms']),
  };
}

export function accountOf(row: Row): SessionAccount {
  const [listed, stored, held, quarantined, refused] = [
    'listed',
    'stored',
    'held',
    'quarantined',
    'refused',
  ].map((name) => Number(row[name] ?? 0)) as [number, number, number, number, number];
  return {
    listed,
    stored,
    held,
    quarantined,
    refused,
    unaccounted: listed - stored - held - quarantined - refused,
    removed: Number(row['removed'] ?? 0),
    storedBytes: Number(row['stored_bytes'] ?? 0),
  };
}

function closeSession(
  { db, outbox, clock }: LogParts,
  id: string,
  outcome: SessionOutcome,
  code: ErrorCode | undefined,
): SessionAccount {
  return db.transaction(() => {
    const endedAt = Math.floor(clock.now());
    db.run(
      'UPDATE docking_session SET ended_at = ?, outcome = ?, code = ? WHERE id = ?',
      endedAt,
      outcome,
      code ?? null,
      id,
    );
    const row = db.get('SELECT * FROM docking_session WHERE id = ?', id) ?? {};
    const account = accountOf(row);
    outbox.record('session-finished', {
      bay: Number(row['bay']),
      serialNumber: String(row['serial_number']),
      sessionId: id,
      outcome,
      ...(code !== undefined && { code }),
      ...account,
      startedAt: Number(row['started_at']),
      endedAt,
    });
    return account;
  });
}

function named(recording: ListedRecording): { path: string; sizeBytes: string } {
  return { path: recording.path.slice(0, 1024), sizeBytes: String(recording.sizeBytes) };
}
