#!/usr/bin/env node
import { flushCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { asDockError, type DockError } from '../protocol/errors.ts';
import type { BayContent } from '../dock/bay/bay-content.ts';
import { openSerialBay, type SerialBay } from '../dock/bay/serial-bay.ts';
import { systemClock, systemRandom } from '../dock/host/system-clock.ts';
import { startAgent } from './agent.ts';
import type { AgentHost } from './agent-host.ts';
import { AgentService } from './agent-service.ts';
import { checkStationClock, trustedByConfiguration } from './clock/station-clock.ts';
import { loadConfig } from './config/load.ts';
import { flightFolderOf, vaultFolderOf } from './config/paths.ts';
import { loadProfiles } from './config/profiles.ts';
import type { BayConfig, Config } from './config/schema.ts';
import { FlightRecorder } from './flight/flight-recorder.ts';
import { systemHealthSources } from './health/station-health.ts';
import { backupFolderOf, DatabaseBackups } from './state/backups.ts';
import { limitLog } from './log-limit.ts';
import { stderrLog, type Log } from './log.ts';
import { StartFailures } from './service/start-failures.ts';
import { systemdSupervisor } from './service/systemd.ts';
import { nobody, type Supervisor } from './service/supervisor.ts';
import { nodeDisk } from './vault/node-disk.ts';
import { version } from './version.ts';

const usage = `The docking agent of one station.

  node agent/main.ts [--config FILE]

Without a configuration it runs on embedded defaults: state in ./dock-state, an MQTT broker on loopback.
Stop it with SIGTERM or SIGINT, let it read its configuration again with SIGHUP; look at it with dockctl.
`;

/** The composition root: real clock, real disk, real ports. */
async function systemHost(config: Config, supervisor: Supervisor, log: Log): Promise<AgentHost> {
  const flights = new FlightRecorder({
    folder: flightFolderOf(config),
    clock: systemClock,
    random: systemRandom,
    log,
    version,
  });
  // Only a station with USB bays pays for the USB stack.
  const usbPorts = config.bay.some(({ usb_port }) => usb_port !== undefined);
  const usb = usbPorts ? await usbSide(config, flights) : undefined;
  return {
    clock: systemClock,
    random: systemRandom,
    disk: nodeDisk,
    log,
    supervisor,
    flights,
    healthSources: systemHealthSources,
    backups: new DatabaseBackups({
      folder: backupFolderOf(vaultFolderOf(config)),
      keep: config.maintenance.backups,
      clock: systemClock,
    }),
    checkStationClock: config.clock.station_clock === 'trusted' ? trustedByConfiguration : checkStationClock,
    lookIntoBay: async ({ number, serial, usb_port }, signal) => {
      if (serial) return openSerialBay(serialBayOf(serial), systemClock, signal, flights.logOf(number));
      return usb && usb_port !== undefined ? usb.look(usb_port, signal) : { kind: 'empty' };
    },
    ...(usb && { powerCycle: usb.powerCycle, watchBays: usb.watchBays }),
  };
}

type UsbSide = Pick<AgentHost, 'watchBays' | 'powerCycle'> & {
  look: (usbPort: string, signal: AbortSignal) => Promise<BayContent>;
};

async function usbSide(config: Config, flights: FlightRecorder): Promise<Required<UsbSide>> {
  const { openUsbBay } = await import('../dock/bay/usb-bay.ts');
  const { systemUsbHost } = await import('../dock/host/usb-host.ts');
  const { watchUsbPorts } = await import('../dock/host/usb-watch.ts');
  const { recordedUsbHost } = await import('../dock/flight/recorded-usb-host.ts');
  const machine = await systemUsbHost({ helperSocket: config.usb.helper_socket, clock: systemClock });
  const host = recordedUsbHost(machine, (usbPort) => {
    const bay = config.bay.find(({ usb_port }) => usb_port === usbPort);
    return bay && flights.logOf(bay.number);
  });
  const profiles = loadProfiles(config);
  const reenumerationMs = config.session.reenumeration_ms;
  return {
    look: (usbPort, signal) => openUsbBay({ usbPort, profiles, reenumerationMs }, host, systemClock, signal),
    powerCycle: async ({ usb_port }) => usb_port !== undefined && host.powerCycle(usb_port),
    watchBays: (wake, signal) => watchUsbPorts(wake, systemClock, signal),
  };
}

function serialBayOf(serial: NonNullable<BayConfig['serial']>): SerialBay {
  return {
    place: serial.path === undefined ? { usbPort: serial.usb_port ?? '' } : { path: serial.path },
    line: {
      baudRate: serial.baud_rate,
      dataBits: serial.data_bits,
      stopBits: serial.stop_bits,
      parity: serial.parity,
      rtscts: serial.flow_control === 'rtscts',
    },
    burstLines: serial.burst_lines,
    lineGapMs: serial.line_gap_ms,
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { config: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const supervisor = await systemdSupervisor(process.env);
  const failures = new StartFailures(process.env['RUNTIME_DIRECTORY']);
  const log = limitLog(stderrLog(process.env), systemClock);
  const endAfter = (error: unknown): Promise<never> =>
    endAfterFailure(asDockError(error), { supervisor, failures });
  const service = new AgentService({
    clock: systemClock,
    log,
    load: () => loadConfig(values.config, process.env),
    start: async (loaded, reloadConfiguration) => {
      const host = await systemHost(loaded.config, supervisor, log);
      return await startAgent(loaded, { ...host, reloadConfiguration });
    },
    ended: (error) => void endAfter(error),
  });
  await service.start().catch(endAfter);
  failures.succeeded();
  // With NODE_COMPILE_CACHE set, the next start needs no TypeScript stripper: faster, and 25 MB less.
  flushCompileCache();
  const stop = (): void => void service.stop().then(() => process.exit(0));
  process.on('SIGTERM', stop).on('SIGINT', stop);
  process.on('SIGHUP', () => {
    service.reload().catch((error: unknown) => log.error('configuration-not-reloaded', { error }));
  });
}

/** A station that cannot start says why, where people look for it, and is started again by its service manager. */
async function endAfterFailure(
  error: DockError,
  { supervisor, failures }: { supervisor: Supervisor; failures: StartFailures },
): Promise<never> {
  const { code, message, nextStep } = error;
  if (supervisor === nobody) process.stderr.write(`dock-agent: ${message} [${code}]\n${nextStep}\n`);
  else stderrLog(process.env).error('start-failed', { error });
  const delayMs = failures.failed();
  const again = delayMs === 0 ? '' : ` Next try in ${delayMs / 1000} s.`;
  supervisor.status(`Cannot start: ${message} [${code}] ${nextStep}${again}`);
  await systemClock.sleep(delayMs);
  return process.exit(1);
}

main().catch((error: unknown) => {
  process.stderr.write(
    `dock-agent: ${isUsageError(error) ? `${error.message}\n\n${usage}` : String(error)}\n`,
  );
  process.exit(1);
});

function isUsageError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}
