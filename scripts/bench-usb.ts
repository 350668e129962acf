/**
 * How fast recordings come over a real USB stack: the agent's own code against cameras served by umtprd, in the
 * virtual machine of scripts/usb-lab, every figure next to a peer or a limit of the same run. Reported, not asserted.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { agentCommand } from './agent-command.ts';
import { isPartName, partNames, reportsFile, type LabReports, type UsbBenchTask } from './bench-usb/task.ts';
import { drawReport } from './bench/report.ts';

const usage = `npm run bench:usb [-- --only PART] [--quick] [--json] [SIZES]

  --only PART         one part alone; may be repeated
                        single    one camera: MB/s and processor time of the ingest, next to the same windows
                                  thrown away
                        tools     QEMU's own camera instead, as these cannot read umtprd: the ingest next to
                                  mtp-getfile and gphoto2, each with sync and sha256sum
                        parallel  several cameras into one agent: MB/s, processor time, memory per bay
                        plug      from plugging in to the first bytes of a recording, step by step
  --quick             small sizes and few rounds, wider error
  --json              one JSON object with all figures at the end
  --recording-mib N   the recording of single and tools (128; quick 16)
  --rounds N          rounds of single and tools (5; quick 2)
  --camera-mib N      the recording of each camera of parallel (64; quick 8)
  --cameras LIST      how many cameras at once (1,4,8)
  --plugs N           cameras plugged in for plug (9; quick 3)

Examples:
  npm run bench:usb                                          all of it; a quarter of an hour and more
  npm run bench:usb -- --quick --only plug                   two minutes
  npm run bench:usb -- --only single --recording-mib 256     the limit of one camera, with long windows
  npm run bench:usb -- --only parallel --cameras 1,8 --json

Boots the virtual machine of scripts/usb-lab (see boot.sh: QEMU, Debian packages, USB_LAB_… variables). Emulated, only
ratios mean anything, and other load on this machine spoils them: its load average is printed with the figures.
`;

interface Sizes {
  readonly 'recording-mib': string;
  readonly rounds: string;
  readonly 'camera-mib': string;
  readonly cameras: string;
  readonly plugs: string;
}

const usualSizes: Sizes = {
  'recording-mib': '128',
  rounds: '5',
  'camera-mib': '64',
  cameras: '1,4,8',
  plugs: '9',
};
const quickSizes: Sizes = {
  'recording-mib': '16',
  rounds: '2',
  'camera-mib': '8',
  cameras: '1,4,8',
  plugs: '3',
};

async function main(): Promise<void> {
  const { values: flags } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      'recording-mib': { type: 'string' },
      rounds: { type: 'string' },
      'camera-mib': { type: 'string' },
      cameras: { type: 'string' },
      plugs: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (flags.help) {
    process.stdout.write(usage);
    return;
  }
  const unknown = flags.only.filter((name) => !isPartName(name));
  if (unknown.length > 0) throw new Error(`there is no part ${unknown.join(', ')}\n\n${usage}`);
  const sizes = { ...(flags.quick ? quickSizes : usualSizes), ...definedOnly(flags) };
  const task: UsbBenchTask = {
    parts: partNames.filter((name) => flags.only.length === 0 || flags.only.includes(name)),
    recordingMib: count('recording-mib', sizes['recording-mib'], 512),
    cameraMib: count('camera-mib', sizes['camera-mib'], 512),
    rounds: count('rounds', sizes.rounds, 100),
    cameras: sizes.cameras.split(',').map((text) => count('cameras', text, 8)),
    plugs: count('plugs', sizes.plugs, 100),
  };
  const loadBefore = loadavg()[0] ?? 0;
  const { reports, failures } = await runInLab(task);
  const machine = {
    node: process.version,
    processor: cpus()[0]?.model,
    cores: cpus().length,
    loadBefore,
    loadAfter: loadavg()[0],
  };
  if (flags.json)
    process.stdout.write(`${JSON.stringify({ machine, task, ...reports, failures }, null, 2)}\n`);
  else {
    for (const name of task.parts) {
      const report = reports[name];
      process.stdout.write(report ? `${drawReport(report)}\n` : `${name} failed: ${failures[name]}\n\n`);
    }
    process.stdout.write(`load average of this machine before: ${loadBefore.toFixed(2)}\n`);
  }
  if (Object.keys(failures).length > 0) process.exitCode = 1;
}

/** Boots the lab; what it says on the way is progress, for people. */
async function runInLab(task: UsbBenchTask): Promise<LabReports> {
  const exchange = mkdtempSync(join(tmpdir(), 'dock-bench-usb-'));
  const [environment, options] = agentOptions();
  const bench = ['node', ...options, 'scripts/bench-usb/in-lab.ts', JSON.stringify(task)];
  const boot = join(import.meta.dirname, 'usb-lab/boot.sh');
  const lab = spawn(boot, ['env', ...environment, ...bench], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      USB_LAB_MEMORY: '2560',
      USB_LAB_TIMEOUT: '3600',
      // With its camera for tools; a controller that others do without could cost them.
      ...(task.parts.includes('tools') && { USB_LAB_HUBS: '1' }),
      ...process.env,
      USB_LAB_EXCHANGE: exchange,
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => lab.kill(signal));
  lab.stdout.pipe(process.stderr);
  try {
    const status = await new Promise((resolve) => lab.once('close', resolve));
    const file = join(exchange, reportsFile);
    if (!existsSync(file)) throw new Error(`the lab ended with ${String(status)}, before any part was done`);
    const { reports, failures } = JSON.parse(readFileSync(file, 'utf8')) as LabReports;
    const missing = task.parts.filter((name) => !reports[name] && failures[name] === undefined);
    const why = `the lab ended with ${String(status)}; USB_LAB_TIMEOUT is its time in seconds`;
    return { reports, failures: { ...Object.fromEntries(missing.map((name) => [name, why])), ...failures } };
  } finally {
    rmSync(exchange, { recursive: true, force: true });
  }
}

/** Environment and options of Node as `npm run agent` has them: what is measured runs as it does on a station. */
function agentOptions(): [environment: string[], options: string[]] {
  const { args } = agentCommand('');
  const node = args.indexOf('node');
  return [
    args.slice(0, node).filter((arg) => !arg.startsWith('NODE_COMPILE_CACHE=')),
    args.slice(node + 1).filter((arg) => arg.startsWith('--') && arg !== '--config'),
  ];
}

function definedOnly(flags: Readonly<Record<string, unknown>>): Partial<Sizes> {
  const given = Object.keys(usualSizes).filter((name) => flags[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, String(flags[name])]));
}

function count(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`--${name}: a whole number from 1 to ${most}, not ${text}`);
}

main().catch((error: unknown) => {
  process.stderr.write(`bench:usb: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
