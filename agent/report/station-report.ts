import { stationTopics } from '../../protocol/mqtt/topics.ts';
import type { AgentHost } from '../agent-host.ts';
import { vaultFolderOf } from '../config/paths.ts';
import { AssignmentInbox } from '../enrolment/assignment-inbox.ts';
import { noHealthSources, StationHealth } from '../health/station-health.ts';
import type { Station } from '../station.ts';
import { version } from '../version.ts';
import { CommandDesk } from '../command/command-desk.ts';
import { Alarms } from './alarms.ts';
import { AlarmWatch } from './alarm-watch.ts';
import { brokerCredentials } from './broker-credentials.ts';
import { startEmbeddedBroker } from './embedded-broker.ts';
import { stationInfo } from './info.ts';
import { MqttConnection } from './mqtt-connection.ts';
import { Reporter } from './reporter.ts';
import { StateDocuments } from './state-documents.ts';

/** What the station says of itself, and to whom. */
export interface StationReport {
  readonly brokerUrl: string;
  readonly health: StationHealth;
  readonly commands: CommandDesk;
  readonly assignmentInbox: AssignmentInbox | undefined;
  readonly reporter: Reporter;
}

/** Ready to run; only an embedded broker is started, for as long as `stack` lives. Errors: `broker.port-in-use`. */
export async function stationReport(
  station: Station,
  host: AgentHost,
  { boot, stack }: { boot: number; stack: AsyncDisposableStack },
): Promise<StationReport> {
  const { config, register } = station;
  let brokerUrl = config.broker.url;
  if (brokerUrl === undefined) {
    const embedded = stack.use(await startEmbeddedBroker(config.broker.embedded_port));
    brokerUrl = `mqtt://127.0.0.1:${embedded.port}`;
  }
  const { department, post, name } = config.station;
  const topics = stationTopics({ department, post, station: name });
  const health = new StationHealth({
    ...station,
    sources: host.healthSources ?? noHealthSources,
    vaultFolder: vaultFolderOf(config),
    stateFolder: config.state.folder,
    reserveBytes: config.vault.reserve_bytes,
    bays: config.bay.map(({ number }) => number),
    newestBackupAt: async () => (await host.backups?.list())?.[0]?.takenAt,
    registerDoubt: () => register.doubt(),
    periodMs: config.maintenance.health_seconds * 1000,
  });
  const alarms = new Alarms(station);
  const info = stationInfo(config, { boot, version, startedAt: station.clock.now() });
  const commands = new CommandDesk({ ...station, topics, enabled: config.commands.enabled, boot });
  const assignmentInbox = station.assignments.hasIssuerKey
    ? new AssignmentInbox({ ...station, topics })
    : undefined;
  const reporter = new Reporter({
    ...station,
    commands,
    assignmentInbox,
    documents: new StateDocuments({ ...station, topics, health, alarms, info }),
    topics,
    broker: { url: brokerUrl, clientId: `dock-${department}-${post}-${name}` },
    credentials: () => brokerCredentials(config),
    openBroker: host.openBroker ?? MqttConnection.open,
    boot,
    version,
  });
  new AlarmWatch({ ...station, alarms, health, reporter });
  return { brokerUrl, health, commands, assignmentInbox, reporter };
}
