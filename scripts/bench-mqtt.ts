/**
 * How fast and how cheaply events leave a station, and how many stations one broker and one monitor carry: every
 * figure next to a peer or a limit measured in the same run. Aims are reported, not asserted.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchBacklog } from './bench-mqtt/backlog.ts';
import { benchFleet } from './bench-mqtt/fleet.ts';
import { benchLive } from './bench-mqtt/live.ts';
import { benchThroughput } from './bench-mqtt/throughput.ts';
import { benchTraffic } from './bench-mqtt/traffic.ts';
import { MissingProgram } from './bench-mqtt/mosquitto.ts';
import { drawReport, type BenchOptions, type BenchReport } from './bench/report.ts';

const parts: Readonly<Record<string, (options: BenchOptions) => Promise<BenchReport>>> = {
  throughput: benchThroughput,
  live: benchLive,
  backlog: benchBacklog,
  fleet: benchFleet,
  traffic: benchTraffic,
};

const usage = `npm run bench:mqtt [-- --only NAME] [--quick] [--json]

  --only NAME   one part alone; may be repeated
                  throughput  events a second from commit to acknowledgement, next to a bare client
                  live        events each committed alone while those before it leave, next to the commits alone
                  backlog     how long 1,000,000 waiting events take, and what they take: memory, processor, disk
                  fleet       5000 simulated stations on one broker: delay to a subscriber, cost of broker and monitor
                  traffic     bytes of a station in a day
  --quick       shorter runs, wider error: 50,000 events, 500 stations
  --json        one JSON object with all figures at the end

Needs a real Mosquitto (Debian package mosquitto), which it starts on a free port of loopback and ends again.
Works in a folder of its own in the folder for temporary files (TMPDIR), which it removes again; the backlog takes
some 2 GiB there.
`;

/** As scripts/bench.ts; it could not run here. */
const missingExitCode = 77;

async function main(): Promise<void> {
  const { values: flags } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (flags.help) {
    process.stdout.write(usage);
    return;
  }
  const unknown = flags.only.filter((name) => !(name in parts));
  if (unknown.length > 0) throw new Error(`there is no part ${unknown.join(', ')}\n\n${usage}`);

  const folder = mkdtempSync(join(tmpdir(), 'dock-bench-mqtt-'));
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stop.abort(new Error('interrupted')));
  }
  const options: BenchOptions = {
    isQuick: flags.quick,
    folder,
    signal: stop.signal,
    say: (text) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text}`);
    },
  };
  const reports: [string, BenchReport][] = [];
  try {
    for (const [name, bench] of Object.entries(parts)) {
      if (flags.only.length > 0 && !flags.only.includes(name)) continue;
      const report = await bench(options);
      reports.push([name, report]);
      options.say('');
      if (!flags.json) process.stdout.write(`${drawReport(report)}\n`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (flags.json) process.stdout.write(`${JSON.stringify(asJson(reports), null, 2)}\n`);
}

function asJson(reports: readonly (readonly [string, BenchReport])[]): object {
  const [processor] = cpus();
  return {
    machine: { node: process.version, arch: process.arch, processor: processor?.model, cores: cpus().length },
    ...Object.fromEntries(
      reports.map(([name, { figures, aims, notes }]) => [name, { ...figures, aims, notes }]),
    ),
  };
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`\nbench: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(error instanceof MissingProgram ? missingExitCode : 1);
  },
);
