/**
 * How fast, how cheap, how small: every figure next to a peer or a limit that was measured or computed in the same
 * run, so that it means the same on any machine. Aims are reported, not asserted.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchIdle } from './bench/idle.ts';
import { benchIngest } from './bench/ingest.ts';
import { drawReport, type BenchOptions, type BenchReport } from './bench/report.ts';
import { benchSerial } from './bench/serial.ts';

const parts: Readonly<Record<string, (options: BenchOptions) => Promise<BenchReport>>> = {
  serial: benchSerial,
  ingest: benchIngest,
  idle: benchIdle,
};

const usage = `npm run bench [-- --only NAME] [--quick] [--json]

  --only NAME   one part alone; may be repeated
                  serial   file bytes per second over a rate-limited serial line, next to what the framing
                           allows and to ZMODEM
                  ingest   processor time of storing a recording, next to cp and sha256sum
                  idle     processor time and memory of the agent at rest, next to Node alone
  --quick       shorter runs, wider error
  --json        one JSON object with all figures at the end

Works in a folder of its own in the folder for temporary files (TMPDIR), which it removes again.
ZMODEM needs the programs of the package lrzsz; without them its rows are skipped.
`;

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

  const folder = mkdtempSync(join(tmpdir(), 'dock-bench-'));
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
    process.exit(1);
  },
);
