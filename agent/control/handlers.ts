import { parseSerialNumber } from '../../dock/camera/serial-number.ts';
import type { CameraHealth } from '../../dock/camera/camera.ts';
import { dayOf, serviceEndsOn } from '../../protocol/norm/service-life.ts';
import { asDockError, DockError } from '../../protocol/errors.ts';
import type { StationActions } from '../command/station-actions.ts';
import type { FlightRecorder } from '../flight/flight-recorder.ts';
import { fleetOf } from '../enrolment/fleet.ts';
import { retirementPlan } from '../enrolment/above-quota.ts';
import type { Assignments } from '../enrolment/assignments.ts';
import type { BayLoop } from '../session/bay-loop.ts';
import type { FaultLog } from '../session/fault-log.ts';
import { accountOf } from '../session/session-log.ts';
import { isoTimes } from './iso-times.ts';
import type { ControlHandlers } from './server.ts';
import { stationFaults, stationStatus, type StatusParts } from './station-status.ts';

export interface HandlerParts extends StatusParts {
  readonly actions: StationActions;
  readonly reloadConfiguration: (() => Promise<void>) | undefined;
  readonly assignments: Assignments;
  /** A person vouches for the register; true when it was in doubt. */
  readonly confirmRegister: (by: string) => boolean;
  readonly bays: readonly BayLoop[];
  readonly faults: FaultLog;
  readonly flights: FlightRecorder | undefined;
}

/** How dockctl's requests are answered; what each returns is what `--json` prints. */
export function controlHandlers(parts: HandlerParts): ControlHandlers {
  const { actions, clock, db, outbox, register, assignments, catalogue, vault, board } = parts;
  const iso = (at: number): string => new Date(at).toISOString();

  return {
    status: () => stationStatus(parts),

    health: async () => isoTimes(await parts.health.sample()),

    flights: async () => ({ flights: (await parts.flights?.list()) ?? [] }),

    flight: async ({ id }) => {
      const flight = await parts.flights?.get(id);
      if (!flight) throw new DockError('control.bad-request', `there is no flight ${id}`);
      return flight;
    },

    bays: async () => ({ bays: board.all().map(isoTimes) }),

    faults: async () => stationFaults(parts.faults),

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
            commissionedOn: enrolment?.commissionedOn ?? null,
            serviceEndsOn: enrolment?.commissionedOn
              ? serviceEndsOn(
                  { item: 'camera', commissionedOn: enrolment.commissionedOn },
                  dayOf(clock.now()),
                )
              : null,
            isServiceLifeOver: enrolment?.state === 'enrolled' && enrolment.serviceReported === 0,
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
      const page = catalogue.page({ serialNumber: serial, limit, before });
      return { recordings: page.map(isoTimes), vault: vault.folder };
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

    enrol: (request) => actions.enrol(request),
    retire: (request) => actions.retire(request),
    replace: (request) => actions.replace(request),
    transfer: (request) => actions.transfer(request),
    fleet: async () =>
      fleetOf([...(await register.list()), ...(await register.list('computer'))], dayOf(clock.now())),
    audit: async ({ after, limit }) => ({
      records: await register.audit(after, limit),
      head: (await register.usage()).audit,
    }),
    pull: async (request) => actions.pull(request),
    pause: async (request) => actions.pause(request),
    resume: async (request) => actions.resume(request),
    identify: async (request) => actions.identify(request),

    'reload-configuration': async () => {
      if (!parts.reloadConfiguration)
        throw new DockError('command.unsupported', 'nobody starts this agent again');
      await parts.reloadConfiguration();
      return {};
    },

    quota: async () => {
      const usage = await register.usage();
      const { surplus, retire } = retirementPlan(usage, await register.list());
      return { ...usage, plan: { surplus, retire: retire.map(isoTimes) } };
    },

    assignment: async () => {
      const { isTrusted: isClockTrusted } = await parts.checkStationClock();
      const { inForce } = assignments;
      return {
        hasIssuerKey: assignments.hasIssuerKey,
        inForce: inForce ? { ...inForce.assignment, jws: inForce.jws } : null,
        problems: assignments.problems({ isClockTrusted }),
        history: assignments.history(100).map(isoTimes),
      };
    },

    'install-assignment': async ({ assignment, by }) => ({
      installed: await actions.installAssignment(assignment, by),
      usage: await register.usage(),
    }),

    'confirm-register': async ({ by }) => {
      const wasInDoubt = parts.confirmRegister(by);
      if (wasInDoubt) for (const bay of parts.bays) if (board.get(bay.bay)?.phase === 'refused') bay.nudge();
      return { wasInDoubt };
    },

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
