import { parseSerialNumber } from '../../dock/camera/serial-number.ts';
import type { Clock } from '../../dock/clock.ts';
import type { CameraHealth } from '../../dock/camera/camera.ts';
import { asDockError } from '../../protocol/errors.ts';
import type { StationClockCheck } from '../clock/station-clock.ts';
import type { Config } from '../config/schema.ts';
import type { Register } from '../enrolment/register.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Reporter } from '../report/reporter.ts';
import type { BayBoard } from '../session/bay-board.ts';
import type { BayLoop } from '../session/bay-loop.ts';
import { accountOf } from '../session/session-log.ts';
import type { Database } from '../state/database.ts';
import type { Catalogue } from '../vault/catalogue.ts';
import type { Disk } from '../vault/disk.ts';
import type { Vault } from '../vault/vault.ts';
import type { ControlHandlers } from './server.ts';

export interface HandlerParts {
  readonly config: Config;
  readonly configFile: string | undefined;
  readonly clock: Clock;
  readonly db: Database;
  readonly disk: Disk;
  readonly outbox: Outbox;
  readonly register: Register;
  readonly catalogue: Catalogue;
  readonly vault: Vault;
  readonly board: BayBoard;
  readonly bays: readonly BayLoop[];
  readonly reporter: Reporter;
  readonly checkStationClock: StationClockCheck;
  readonly brokerUrl: string;
  readonly version: string;
  readonly boot: number;
  readonly startedAt: number;
}

/** How dockctl's requests are answered; what each returns is what `--json` prints. */
export function controlHandlers(parts: HandlerParts): ControlHandlers {
  const { config, clock, db, outbox, register, catalogue, vault, board } = parts;
  const iso = (at: number): string => new Date(at).toISOString();

  /** A changed enrolment concerns its own camera, and those that wait for a place. */
  const nudgeBays = (serialNumber: string): void => {
    for (const bay of parts.bays) {
      const state = board.get(bay.bay);
      if (state?.phase !== 'ready' || state.serialNumber === serialNumber) bay.nudge();
    }
  };

  return {
    status: async () => ({
      version: parts.version,
      boot: parts.boot,
      startedAt: iso(parts.startedAt),
      now: iso(clock.now()),
      station: config.station,
      configFile: parts.configFile ?? null,
      bays: board.all(),
      quota: await register.usage(),
      recordings: catalogue.count(),
      quarantined: Number(db.get('SELECT count(*) AS n FROM quarantine')?.['n']),
      vault: { folder: vault.folder, freeBytes: await parts.disk.freeBytes(vault.folder) },
      stationClock: await parts.checkStationClock(),
      broker: { url: parts.brokerUrl, ...parts.reporter.state, waitingEvents: outbox.depth() },
    }),

    bays: async () => ({ bays: board.all() }),

    cameras: async () => {
      const enrolments = new Map(
        (await register.list()).map((enrolment) => [enrolment.serialNumber, enrolment]),
      );
      const seen = db.all('SELECT * FROM camera ORDER BY serial_number');
      const known = new Set([...enrolments.keys(), ...seen.map((row) => String(row['serial_number']))]);
      const bySerial = new Map(seen.map((row) => [String(row['serial_number']), row]));
      return {
        cameras: [...known].sort().map((serialNumber) => {
          const camera = bySerial.get(serialNumber);
          const enrolment = enrolments.get(serialNumber);
          const clockRow = db.get(
            `SELECT * FROM docking_session WHERE serial_number = ? AND clock_offset_ms IS NOT NULL
             ORDER BY started_at DESC LIMIT 1`,
            serialNumber,
          );
          return {
            serialNumber,
            enrolment: enrolment?.state ?? 'unknown',
            enrolmentReason: enrolment?.reason ?? null,
            enrolmentChangedAt: enrolment ? iso(enrolment.changedAt) : null,
            enrolmentChangedBy: enrolment?.changedBy ?? null,
            hasKey: enrolment
              ? enrolment.publicKey !== undefined
              : camera?.['public_key'] instanceof Uint8Array,
            dockedInBay: board.bayOf(serialNumber) ?? null,
            model: camera ? String(camera['model']) : null,
            firmware: camera ? String(camera['firmware']) : null,
            lastDockedAt: camera ? iso(Number(camera['last_docked_at'])) : null,
            health:
              typeof camera?.['health'] === 'string' ? (JSON.parse(camera['health']) as CameraHealth) : null,
            clock: clockRow
              ? {
                  offsetMs: clockRow['clock_offset_ms'],
                  uncertaintyMs: clockRow['clock_uncertainty_ms'],
                  driftPpm: clockRow['clock_drift_ppm'],
                  method: clockRow['clock_method'],
                  setAt: clockRow['clock_set_at'] === null ? null : iso(Number(clockRow['clock_set_at'])),
                  residualMs: clockRow['clock_residual_ms'],
                  residualUncertaintyMs: clockRow['clock_residual_uncertainty_ms'],
                }
              : null,
            recordings: catalogue.count(serialNumber),
          };
        }),
      };
    },

    recordings: async ({ serialNumber, limit, before }) => {
      const serial = serialNumber === undefined ? undefined : parseSerialNumber(serialNumber);
      return { recordings: catalogue.page({ serialNumber: serial, limit, before }), vault: vault.folder };
    },

    sessions: async ({ limit }) => ({
      sessions: db.all('SELECT * FROM docking_session ORDER BY id DESC LIMIT ?', limit).map((row) => ({
        id: row['id'],
        bay: row['bay'],
        serialNumber: row['serial_number'],
        startedAt: iso(Number(row['started_at'])),
        endedAt: row['ended_at'] === null ? null : iso(Number(row['ended_at'])),
        outcome: row['outcome'],
        code: row['code'],
        ...accountOf(row),
        pullMs: row['pull_ms'],
        clockOffsetMs: row['clock_offset_ms'],
        clockUncertaintyMs: row['clock_uncertainty_ms'],
        clockDriftPpm: row['clock_drift_ppm'],
        clockMethod: row['clock_method'],
        clockResidualMs: row['clock_residual_ms'],
        clockResidualUncertaintyMs: row['clock_residual_uncertainty_ms'],
      })),
    }),

    enrol: async ({ serialNumber, by, reason }) => {
      const serial = parseSerialNumber(serialNumber);
      const key = db.get('SELECT public_key FROM camera WHERE serial_number = ?', serial)?.['public_key'];
      const publicKey = key instanceof Uint8Array ? key : undefined;
      const decision = await register.enrol({ serialNumber: serial, publicKey, by, reason });
      // Only what changes something is worth another session of every docked camera.
      if (decision.kind === 'enrolled' && decision.isNew) nudgeBays(serial);
      return { serialNumber: serial, ...decision };
    },

    retire: async ({ serialNumber, by, cause, note }) => {
      const serial = parseSerialNumber(serialNumber);
      if (await register.retire({ serialNumber: serial, by, cause, note })) nudgeBays(serial);
      return { serialNumber: serial, retired: true, usage: await register.usage() };
    },

    quota: async () => await register.usage(),

    verify: async ({ serialNumber }, { progress, item, signal }) => {
      const serial = serialNumber === undefined ? undefined : parseSerialNumber(serialNumber);
      const total = catalogue.count(serial);
      const result = { checked: 0, intact: 0, damaged: 0, missing: 0, bytes: 0 };
      for (let after = '', ids = catalogue.idsAfter(after, serial, 100); ids.length > 0;) {
        for (const id of ids) {
          signal.throwIfAborted();
          const entry = catalogue.get(id);
          if (!entry) continue;
          result.checked++;
          try {
            await vault.verify(entry, signal);
            result.intact++;
            result.bytes += entry.sizeBytes;
          } catch (thrown) {
            signal.throwIfAborted();
            const { code, message } = asDockError(thrown);
            if (code === 'vault.file-missing') result.missing++;
            else result.damaged++;
            outbox.record('vault-problem', { code, detail: entry.storedPath });
            await item({ recordingId: id, storedPath: entry.storedPath, code, message });
          }
          await progress({ done: result.checked, total, what: 'recordings' });
        }
        after = ids.at(-1) ?? after;
        ids = catalogue.idsAfter(after, serial, 100);
      }
      return result;
    },

    events: async ({ after, limit, follow }, { item, signal }) => {
      const first = after === undefined ? outbox.latest(limit) : outbox.after(after, limit);
      let seq = after ?? 0;
      const show = async (events: typeof first): Promise<void> => {
        for (const event of events) {
          seq = event.seq;
          await item(outbox.envelope(event));
        }
      };
      await show(first);
      while (follow && !signal.aborted) {
        await clock.sleep(followMs, signal).catch(() => undefined);
        await show(outbox.after(seq, 1000));
      }
      return { lastSeq: seq };
    },
  };
}

/** Looking every so often costs a keyed query; it needs no bookkeeping of who listens. */
const followMs = 200;
