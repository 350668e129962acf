import type { Clock } from '../../dock/clock.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import { asDockError } from '../../protocol/errors.ts';
import type { FaultsAnswer, StatusAnswer } from '../cli/answers.ts';
import type { StationClockCheck } from '../clock/station-clock.ts';
import type { Config } from '../config/schema.ts';
import type { Register } from '../enrolment/register.ts';
import type { StationHealth } from '../health/station-health.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Reporter } from '../report/reporter.ts';
import type { BayBoard } from '../session/bay-board.ts';
import type { FaultLog } from '../session/fault-log.ts';
import type { Database } from '../state/database.ts';
import type { Catalogue } from '../vault/catalogue.ts';
import type { Vault } from '../vault/vault.ts';
import type { WatchedDisk } from '../vault/watched-disk.ts';
import { isoTimes } from './iso-times.ts';

export interface StatusParts {
  readonly config: Config;
  readonly configFile: string | undefined;
  readonly clock: Clock;
  readonly db: Database;
  readonly disk: WatchedDisk;
  readonly outbox: Outbox;
  readonly register: Register;
  readonly catalogue: Catalogue;
  readonly vault: Vault;
  readonly board: BayBoard;
  readonly reporter: Reporter;
  readonly health: StationHealth;
  readonly checkStationClock: StationClockCheck;
  readonly brokerUrl: string;
  readonly version: string;
  readonly boot: number;
  readonly startedAt: number;
}

/** The whole station at a glance. */
export async function stationStatus(parts: StatusParts): Promise<StatusAnswer> {
  const { config, clock, db, outbox, register, catalogue, vault, board } = parts;
  return {
    version: parts.version,
    boot: parts.boot,
    startedAt: new Date(parts.startedAt).toISOString(),
    now: new Date(clock.now()).toISOString(),
    station: config.station,
    configFile: parts.configFile ?? null,
    bays: board.all().map(isoTimes),
    quota: await register.usage(),
    recordings: catalogue.count(),
    quarantined: Number(db.get('SELECT count(*) AS n FROM quarantine')?.['n']),
    vault: { folder: vault.folder, ...(await diskState(parts)) },
    stationClock: await parts.checkStationClock(),
    health: healthSummary(parts.health),
    broker: { url: parts.brokerUrl, ...parts.reporter.state, waitingEvents: outbox.depth() },
  };
}

/** What went wrong between bays and cameras, and which of them is to blame. */
export function stationFaults(faults: FaultLog): FaultsAnswer {
  return { faults: faults.list().map(isoTimes), verdicts: faults.verdicts() };
}

/** The latest, as many of these as fit into one message besides all bays. */
const mostTold = 50;

/** Status and faults in one answer. */
export async function stationDiagnostics(
  parts: StatusParts & { readonly faults: FaultLog },
): Promise<StatusAnswer & FaultsAnswer> {
  const { faults, verdicts } = stationFaults(parts.faults);
  const status = await stationStatus(parts);
  return { ...status, faults: faults.slice(0, mostTold), verdicts: verdicts.slice(0, mostTold) };
}

/** A station says how it is also when its disk does not. */
async function diskState({
  disk,
  vault,
}: StatusParts): Promise<{ freeBytes: number | null; problem?: ErrorCode }> {
  const state = await disk.unlessSlow(() =>
    disk.freeBytes(vault.folder).then(
      (freeBytes) => ({ freeBytes }),
      (error: unknown) => ({ freeBytes: null, problem: asDockError(error).code }),
    ),
  );
  return state ?? { freeBytes: null, problem: 'vault.slow' };
}

/** What is out of order, as of the last sample. */
function healthSummary({ latest }: StationHealth) {
  return { level: latest?.level ?? 'ok', problems: latest?.problems ?? [] };
}
