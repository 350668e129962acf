import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stationTopics } from '../protocol/mqtt/topics.ts';
import { asDockError, DockError } from '../protocol/errors.ts';
import type { Camera } from '../dock/camera/camera.ts';
import type { Clock, RandomSource } from '../dock/clock.ts';
import type { StationClockCheck } from './clock/station-clock.ts';
import { socketPathOf } from './config/paths.ts';
import type { BayConfig, Config } from './config/schema.ts';
import { controlHandlers } from './control/handlers.ts';
import { startControlServer } from './control/server.ts';
import { SqliteRegister } from './enrolment/sqlite-register.ts';
import type { Log } from './log.ts';
import { startEmbeddedBroker } from './report/embedded-broker.ts';
import { Outbox } from './report/outbox.ts';
import { Reporter } from './report/reporter.ts';
import { StateDocuments } from './report/state-documents.ts';
import { BayBoard } from './session/bay-board.ts';
import { BayLoop } from './session/bay-loop.ts';
import { closeInterruptedSessions } from './session/session-log.ts';
import { nextCount } from './state/counters.ts';
import { Database } from './state/database.ts';
import { lockState } from './state/state-lock.ts';
import { Catalogue } from './vault/catalogue.ts';
import type { Disk } from './vault/disk.ts';
import { Vault } from './vault/vault.ts';
import { version } from './version.ts';

/** The world around the agent: all of it comes in here, so that the whole agent can run in a simulation. */
export interface AgentHost {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly disk: Disk;
  readonly log: Log;
  readonly checkStationClock: StationClockCheck;
  /** Opens the camera in a bay; undefined while there is none. */
  readonly openCamera: (bay: BayConfig, signal: AbortSignal) => Promise<Camera | undefined>;
}

export interface Agent {
  readonly socketPath: string;
  readonly brokerUrl: string;
  /** Ends all work in order: every pull is left resumable, what is known is reported. */
  stop(): Promise<void>;
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
  const { clock, random, disk, log } = host;
  const stopping = new AbortController();
  const access = credentials(config);
  await using stack = new AsyncDisposableStack();

  stack.use(lockState(config.state.folder));
  const db = stack.use(new Database(join(config.state.folder, 'station.db')));
  const outbox = new Outbox(db, clock, random);
  const catalogue = new Catalogue(db);
  const register = new SqliteRegister(db, outbox, clock, config.post.headcount);
  const vaultFolder = config.vault.folder ?? join(config.state.folder, 'vault');
  const vault = new Vault(
    { db, outbox, disk, clock, random },
    { folder: vaultFolder, reserveBytes: config.vault.reserve_bytes },
  );

  const boot = nextCount(db, 'boot');
  outbox.prune();
  // Before the sessions are closed: what is adopted still belongs to the account of its session.
  await vault.recover(stopping.signal).catch(reportVaultProblem);
  closeInterruptedSessions({ db, outbox, clock, random });
  outbox.record('agent-started', { version, bootNumber: boot });

  /** A station whose vault is broken still has to say so; every pull looks at the vault again. */
  function reportVaultProblem(error: unknown): void {
    const { code, message, disposition } = asDockError(error);
    if (disposition !== 'operator') throw error;
    outbox.record('vault-problem', { code, detail: message.slice(0, 500) });
  }

  const board = new BayBoard(
    clock,
    config.bay.map(({ number }) => number),
  );
  const sessionParts = { ...host, config, db, outbox, register, catalogue, vault, board };
  const bays = config.bay.map(
    (bay) =>
      new BayLoop(bay.number, { ...sessionParts, openCamera: (signal) => host.openCamera(bay, signal) }),
  );

  let brokerUrl = config.broker.url;
  if (brokerUrl === undefined) {
    const embedded = stack.use(await startEmbeddedBroker(config.broker.embedded_port));
    brokerUrl = `mqtt://127.0.0.1:${embedded.port}`;
  }
  const { department, post, name } = config.station;
  const topics = stationTopics({ department, post, station: name });
  const documents = new StateDocuments({ clock, db, board, register, outbox, topics });
  const broker = { url: brokerUrl, clientId: `dock-${department}-${post}-${name}`, ...access };
  const reporter = new Reporter({ clock, random, db, outbox, documents, log, topics, broker, boot, version });

  const socketPath = socketPathOf(config);
  const handlers = controlHandlers({
    config,
    configFile: loaded.file,
    clock,
    db,
    disk,
    outbox,
    register,
    catalogue,
    vault,
    board,
    bays,
    reporter,
    checkStationClock: host.checkStationClock,
    brokerUrl,
    version,
    boot,
    startedAt: clock.now(),
  });
  stack.use(await startControlServer(socketPath, handlers, log));

  const reporting = new AbortController();
  const bayRuns = bays.map((bay) => bay.run(stopping.signal));
  const reporterRun = reporter.run(reporting.signal);
  log.info('agent-started', {
    version,
    boot,
    node: process.version,
    bays: bays.length,
    config: loaded.file ?? 'defaults',
  });

  const resources = stack.move();
  return {
    socketPath,
    brokerUrl,
    stop: async () => {
      log.info('agent-stopping');
      stopping.abort(new Error('the agent is stopping'));
      await Promise.all(bayRuns);
      outbox.record('agent-stopping', {});
      reporting.abort(new Error('the agent is stopping'));
      await reporterRun;
      await resources.disposeAsync();
      log.info('agent-stopped');
    },
  };
}

function readGiven(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new DockError('config.unreadable', cause instanceof Error ? cause.message : path, { cause });
  }
}

function credentials({ broker }: Config) {
  const file = (path: string | undefined): Buffer | undefined =>
    path === undefined ? undefined : readGiven(path);
  const [password, ca, cert, key] = [
    broker.password_file,
    broker.ca_file,
    broker.cert_file,
    broker.key_file,
  ].map(file);
  return {
    ...(broker.username !== undefined && { username: broker.username }),
    ...(password && { password: password.toString('utf8').trimEnd() }),
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
  };
}
