#!/usr/bin/env node
import { flushCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { asDockError } from '../protocol/errors.ts';
import { openSerialBay } from '../dock/bay/serial-bay.ts';
import { systemClock, systemRandom } from '../dock/host/system-clock.ts';
import { startAgent, type AgentHost } from './agent.ts';
import { checkStationClock, trustedByConfiguration } from './clock/station-clock.ts';
import { loadConfig } from './config/load.ts';
import type { BayConfig, Config } from './config/schema.ts';
import { stderrLog } from './log.ts';
import { nodeDisk } from './vault/node-disk.ts';

const usage = `The docking agent of one station.

  node agent/main.ts [--config FILE]

Without a configuration it runs on embedded defaults: state in ./dock-state, an MQTT broker on loopback.
Stop it with SIGTERM or SIGINT; look at it with dockctl.
`;

/** The composition root: real clock, real disk, real ports. */
function systemHost(config: Config): AgentHost {
  return {
    clock: systemClock,
    random: systemRandom,
    disk: nodeDisk,
    log: stderrLog(),
    checkStationClock: config.clock.station_clock === 'trusted' ? trustedByConfiguration : checkStationClock,
    openCamera: (bay, signal) => openSerialBay(serialBayOf(bay), systemClock, signal),
  };
}

function serialBayOf({ serial }: BayConfig): Parameters<typeof openSerialBay>[0] {
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
  const loaded = loadConfig(values.config, process.env);
  const agent = await startAgent(loaded, systemHost(loaded.config));
  // With NODE_COMPILE_CACHE set, the next start needs no TypeScript stripper: faster, and 25 MB less.
  flushCompileCache();
  let isStopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (isStopping) return;
      isStopping = true;
      agent.stop().then(
        () => process.exit(0),
        (error: unknown) => fail(error),
      );
    });
  }
}

function fail(error: unknown): void {
  const { code, message, nextStep } = asDockError(error);
  process.stderr.write(`dock-agent: ${message} [${code}]\n${nextStep}\n`);
  process.exit(1);
}

main().catch((error: unknown) => {
  if (!isUsageError(error)) return fail(error);
  process.stderr.write(`dock-agent: ${error.message}\n\n${usage}`);
  process.exit(1);
});

function isUsageError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}
