import { asDockError } from '../protocol/errors.ts';
import type { AgentHost } from './agent-host.ts';
import { databaseFileOf, vaultFolderOf } from './config/paths.ts';
import type { Config } from './config/schema.ts';
import type { Assignments } from './enrolment/assignments.ts';
import { openAssignments } from './enrolment/open-assignments.ts';
import { ProvenAttachments } from './enrolment/proven-attachments.ts';
import { openRegister } from './enrolment/open-register.ts';
import type { StationRegister } from './enrolment/register.ts';
import { Outbox } from './report/outbox.ts';
import { outboxLimits } from './report/outbox-limits.ts';
import { BayBoard } from './session/bay-board.ts';
import { FaultLog } from './session/fault-log.ts';
import { closeInterruptedSessions } from './session/session-log.ts';
import { nobody } from './service/supervisor.ts';
import { Database } from './state/database.ts';
import { openStationDatabase } from './state/open-station-database.ts';
import { lockState } from './state/state-lock.ts';
import { Catalogue } from './vault/catalogue.ts';
import { Vault } from './vault/vault.ts';
import { WatchedDisk } from './vault/watched-disk.ts';

/** What a station knows and holds: everything that works on it, from bays to reports, works with these. */
export interface Station extends Pick<AgentHost, 'clock' | 'random' | 'log' | 'checkStationClock'> {
  readonly config: Config;
  readonly db: Database;
  readonly outbox: Outbox;
  readonly assignments: Assignments;
  readonly register: StationRegister;
  readonly attachments: ProvenAttachments;
  readonly faults: FaultLog;
  readonly catalogue: Catalogue;
  readonly board: BayBoard;
  readonly disk: WatchedDisk;
  readonly vault: Vault;
}

interface Lifetime {
  readonly stack: AsyncDisposableStack;
  readonly signal: AbortSignal;
}

/** Takes hold of the state folder and opens what is in it, for as long as `stack` lives. Errors: `state.*`, `vault.*`. */
export async function openStation(
  config: Config,
  host: AgentHost,
  { stack, signal }: Lifetime,
): Promise<Station> {
  const { clock, random, log, checkStationClock } = host;
  const bays = config.bay.map(({ number }) => number);
  const board = new BayBoard(clock, bays);
  let outbox: Outbox | undefined;
  const disk = watchDisk(host, {
    // Told live by the bays; the event waits, since the database may be on that disk and would make all wait for it.
    began: () => board.diskIsSlow(true),
    ended: (waitedMs) => {
      board.diskIsSlow(false);
      const detail = `no answer for ${Math.round(waitedMs / 1000)} s`;
      if (!signal.aborted) outbox?.record('vault-problem', { code: 'vault.slow', detail });
    },
  });
  stack.use((host.lockState ?? lockState)(config.state.folder));
  const db = stack.use(await openDatabase(config, { ...host, disk }, signal));
  outbox = new Outbox(db, clock, random, outboxLimits(config));
  const assignments = await openAssignments(config, { db, outbox, clock, checkStationClock });
  return {
    config,
    clock,
    random,
    log,
    checkStationClock,
    db,
    outbox,
    assignments,
    register: await openRegister(config, { db, outbox, clock, random, assignments, stack }),
    attachments: new ProvenAttachments(db, clock, config.session.reenumeration_ms),
    faults: new FaultLog(db, clock),
    catalogue: new Catalogue(db),
    board,
    disk,
    vault: new Vault(
      { db, outbox, disk, clock, random },
      { folder: vaultFolderOf(config), reserveBytes: config.vault.reserve_bytes },
    ),
  };
}

/** Brings the vault and the sessions in order after whatever ended the last run. Errors: `vault.*`, `state.*`. */
export async function recoverStation(station: Station, signal: AbortSignal): Promise<void> {
  const { outbox, vault } = station;
  outbox.prune();
  // Before the sessions are closed: what is adopted still belongs to the account of its session.
  await vault.recover(signal).catch((error: unknown) => reportVaultProblem(outbox, error));
  closeInterruptedSessions(station);
}

async function openDatabase(config: Config, host: AgentHost, signal: AbortSignal): Promise<Database> {
  const { backups, disk, clock, random } = host;
  const file = databaseFileOf(config);
  if (!backups) return host.openDatabase?.(file) ?? new Database(file);
  const vaultFolder = vaultFolderOf(config);
  return openStationDatabase({ file, backups, disk, vaultFolder, clock, random, signal });
}

/** A station whose vault is broken still has to say so; every pull looks at the vault again. */
function reportVaultProblem(outbox: Outbox, error: unknown): void {
  const { code, message, disposition } = asDockError(error);
  if (disposition !== 'operator') throw error;
  outbox.record('vault-problem', { code, detail: message.slice(0, 500) });
}

function watchDisk(
  { disk, clock, log, supervisor = nobody }: AgentHost,
  { began, ended }: { began: () => void; ended: (waitedMs: number) => void },
): WatchedDisk {
  return new WatchedDisk(disk, clock, (isSlow, waitedMs) => {
    log.warn('vault-slow', { isSlow, waitedMs: Math.round(waitedMs) });
    if (isSlow) supervisor.status('The disk of the vault does not answer');
    try {
      if (isSlow) began();
      else ended(waitedMs);
    } catch (error) {
      // Whoever waited for the disk has nothing to do with the database.
      log.error('vault-slow', { error });
    }
  });
}
