import type { AgentHost } from './agent-host.ts';
import { socketPathOf } from './config/paths.ts';
import type { Config } from './config/schema.ts';
import { commandEffects } from './command/command-effects.ts';
import { StationActions } from './command/station-actions.ts';
import { controlHandlers } from './control/handlers.ts';
import { startControlServer } from './control/server.ts';
import { stationDiagnostics } from './control/station-status.ts';
import { recordFaults } from './flight/flight-triggers.ts';
import { brokerCredentials } from './report/broker-credentials.ts';
import { stationReport } from './report/station-report.ts';
import { stopInOrder } from './service/orderly-stop.ts';
import { stationStatusLine } from './service/status-line.ts';
import { nobody } from './service/supervisor.ts';
import { watchOver } from './service/watch-over.ts';
import { stationBays, watchPorts } from './session/station-bays.ts';
import type { ErrorCode } from '../protocol/error-catalogue.ts';
import { asDockError } from '../protocol/errors.ts';
import { nextCount } from './state/counters.ts';
import { watchServiceLife } from './enrolment/service-life.ts';
import { runUpkeep } from './state/upkeep.ts';
import { openStation, recoverStation, type Station } from './station.ts';
import { version } from './version.ts';

const recoverAgainMs = 10_000;

export interface Agent {
  readonly socketPath: string;
  readonly brokerUrl: string;
  /** Ends all work in order: every pull is left resumable, what is known is reported. At most 17 s; never rejects. */
  stop(options?: { isReload: boolean }): Promise<void>;
}

/**
 * Starts everything a station does. What it does after a restart follows from facts alone: catalogue, vault, devices
 * present. Errors: `state.*`, `vault.*`, `broker.port-in-use`, `config.unreadable`.
 */
export async function startAgent(
  loaded: { config: Config; file: string | undefined },
  host: AgentHost,
): Promise<Agent> {
  const { config } = loaded;
  const { clock, log, flights, supervisor = nobody } = host;
  const stopping = new AbortController();
  const { signal } = stopping;
  brokerCredentials(config); // unreadable files are told at once
  await using stack = new AsyncDisposableStack();

  supervisor.status('Starting: opening the database');
  const station = await openStation(config, host, { stack, signal });
  const { db, disk, outbox, board, register } = station;
  const boot = nextCount(db, 'boot');
  supervisor.status('Starting: bringing the vault in order');
  const recovery = recoverStation(station, signal);
  // Only the bays wait for a disk that does not answer: everybody else tells of it.
  if (!(await disk.unlessSlow(() => recovery.then(() => true))))
    holdBays(station, { code: 'vault.slow', detail: 'starting: waiting for the disk of the vault' });
  outbox.record('agent-started', { version, bootNumber: boot });
  if (flights) recordFaults(flights, outbox, board);
  const bays = stationBays(station, host);
  // Another headcount concerns those that wait for a place.
  outbox.onRecorded((type) => {
    if (type !== 'assignment-installed') return;
    for (const bay of bays) if (board.get(bay.bay)?.phase === 'refused') bay.nudge();
  });
  const report = await stationReport(station, host, { boot, stack });
  const { brokerUrl, health, commands, assignmentInbox, reporter } = report;
  const socketPath = socketPathOf(config);
  const actions = new StationActions({ ...station, bays });
  const { reloadConfiguration } = host;
  const configFile = loaded.file;
  const status = {
    ...station,
    configFile,
    reporter,
    health,
    brokerUrl,
    version,
    boot,
    startedAt: clock.now(),
  };
  const handlers = controlHandlers({
    ...status,
    actions,
    reloadConfiguration,
    confirmRegister: (by) => register.confirm(by),
    bays,
    flights,
  });
  const effects = commandEffects({
    actions,
    outbox,
    reporter,
    diagnostics: () => stationDiagnostics(status),
    reloadConfiguration,
  });
  stack.use(await (host.startControlServer ?? startControlServer)(socketPath, handlers, log));

  const reporting = new AbortController();
  const bayRuns = untilRecovered(station, recovery, signal).then(
    () => Promise.all([...bays.map((bay) => bay.run(signal)), runUpkeep(station, host, signal)]),
    () => undefined, // stopped before that
  );
  watchPorts(bays, station, host, signal);
  const reporterRun = reporter.run(reporting.signal);
  const commandRun = commands.run(effects, signal);
  const registerRun = register.run?.(signal);
  const serviceLifeRun = watchServiceLife(station, signal);
  const inboxRun = assignmentInbox?.run(signal);
  const healthRun = host.healthSources && health.run(signal);
  log.info('agent-started', {
    version,
    boot,
    node: process.version,
    bays: bays.length,
    config: loaded.file ?? 'defaults',
  });
  const loops = [...bays.map(({ progress }) => progress), reporter.progress, commands.progress];
  const statusLine = (): string => stationStatusLine(board, reporter.state, disk);
  const watchRun = watchOver({ supervisor, clock, log, db, loops, statusLine }, signal);
  supervisor.ready();

  const resources = stack.move();
  const stop = async ({ isReload }: { isReload: boolean }): Promise<void> => {
    // The service manager would wait for the end of the process.
    if (isReload) supervisor.status('Starting over with another configuration');
    else supervisor.stopping();
    log.info('agent-stopping');
    reporter.stopping();
    stopping.abort(new Error('the agent is stopping'));
    const endReport = async (): Promise<void> => {
      reporting.abort(new Error('the agent is stopping'));
      await reporterRun;
      await flights?.settle();
    };
    const steps = [
      {
        what: 'bays',
        ms: 8000,
        run: () =>
          Promise.all([bayRuns, commandRun, healthRun, watchRun, registerRun, serviceLifeRun, inboxRun]),
      },
      { what: 'last event', ms: 1000, run: async () => outbox.record('agent-stopping', {}) },
      { what: 'report', ms: 5000, run: endReport },
      { what: 'rest', ms: 3000, run: () => resources.disposeAsync() },
    ];
    await stopInOrder(steps, clock, log);
    log.info('agent-stopped');
  };
  let stopped: Promise<void> | undefined;
  return { socketPath, brokerUrl, stop: (options = { isReload: false }) => (stopped ??= stop(options)) };
}

/**
 * The disk may answer again: what failed is tried for as long as it takes, while everybody else tells of it. Rejects
 * only when `signal` aborts.
 */
async function untilRecovered(station: Station, attempt: Promise<void>, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      return await attempt;
    } catch (error) {
      signal.throwIfAborted();
      station.log.error('recovery-failed', { error });
      const { code, message } = asDockError(error);
      holdBays(station, { code, detail: `starting: bringing the vault in order: ${message}`.slice(0, 500) });
    }
    await station.clock.sleep(recoverAgainMs, signal);
    attempt = recoverStation(station, signal);
  }
}

/** Until the first look into a bay, which comes after the recovery. */
function holdBays({ config, board }: Station, reason: { code: ErrorCode; detail: string }): void {
  for (const { number } of config.bay) board.phase(number, 'attention', reason);
}
