import type { BayContent } from '../dock/bay/bay-content.ts';
import type { Clock, RandomSource } from '../dock/clock.ts';
import type { StationClockCheck } from './clock/station-clock.ts';
import type { BayConfig } from './config/schema.ts';
import type { startControlServer } from './control/server.ts';
import type { FlightRecorder } from './flight/flight-recorder.ts';
import type { HealthSources } from './health/station-health.ts';
import type { Log } from './log.ts';
import type { OpenBroker } from './report/broker-connection.ts';
import type { Supervisor } from './service/supervisor.ts';
import type { DatabaseBackups } from './state/backups.ts';
import type { Database } from './state/database.ts';
import type { lockState } from './state/state-lock.ts';
import type { Disk } from './vault/disk.ts';

/** The world around the agent: all of it comes in here, so that the whole agent can run in a simulation. */
export interface AgentHost {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly disk: Disk;
  readonly log: Log;
  readonly checkStationClock: StationClockCheck;
  readonly lookIntoBay: (bay: BayConfig, signal: AbortSignal) => Promise<BayContent>;
  /** Switches the power of a bay off and on; false where it cannot be switched. */
  readonly powerCycle?: (bay: BayConfig) => Promise<boolean>;
  /** Calls `wake` with a USB port when something may have been plugged in or out there: a hint, never the truth. */
  readonly watchBays?: (wake: (usbPort: string) => void, signal: AbortSignal) => void;
  /** Where the database is backed up at night and restored from; without it neither is done. */
  readonly backups?: DatabaseBackups;
  /** What the machine tells about itself; without it the station knows only what it did. */
  readonly healthSources?: HealthSources;
  /** Keeps what the bays saw, for `lookIntoBay` records it there; without it faults leave no flights. */
  readonly flights?: FlightRecorder;
  /** Reads the configuration again and starts the agent anew with it; without it nobody can. Errors: `config.*`. */
  readonly reloadConfiguration?: () => Promise<void>;
  /** Is told how the agent is; nobody without it. */
  readonly supervisor?: Supervisor;
  /** The doors that only a simulation replaces; absent for the real ones. */
  readonly lockState?: typeof lockState;
  readonly openDatabase?: (path: string) => Database;
  readonly openBroker?: OpenBroker;
  readonly startControlServer?: typeof startControlServer;
}
