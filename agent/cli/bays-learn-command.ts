import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Option, type Command } from 'commander';
import { bayNumber, mostBays } from './arguments.ts';
import type { Clock } from '../../dock/clock.ts';
import { DockError } from '../../protocol/errors.ts';
import {
  bayFragment,
  bayPorts,
  replaceFile,
  writeLearnedBays,
  type LearnedBay,
} from '../config/bay-entries.ts';
import { loadConfig, systemConfigPath } from '../config/load.ts';
import { socketPathOf } from '../config/paths.ts';
import { askForResult } from '../control/client.ts';
import { bayPortsFile, learnBays } from './learn-bays.ts';
import { printable, type Output } from './output.ts';

/** The last line of `bays learn --json`. */
export interface LearnResult {
  readonly bays: readonly LearnedBay[];
  /** The entries for the configuration. */
  readonly toml: string;
  /** The configuration that was written; null without `--write`. */
  readonly written: string | null;
  /** The list for the privileged helper that was written; null when it was not. */
  readonly bayPortsFile: string | null;
  /** What is left to do, for people. */
  readonly next: readonly string[];
}

interface LearnOptions {
  from: number;
  count?: number;
  write?: boolean;
  hostRoot: string;
}

/** Adds `learn` below the command that lists the bays. */
export function addBaysLearn(
  bays: Command,
  context: {
    output: () => Output;
    configPath: () => string | undefined;
    socketPath: () => string;
    clock: Clock;
  },
): void {
  bays
    .command('learn')
    .description('find out which USB port each bay is, by plugging a camera into one after the other')
    .option('--from <number>', 'number of the first bay', bayNumber, 1)
    .option('--count <number>', 'how many bays; without it until Ctrl-C', bayNumber)
    .option('--write', 'put the ports into the configuration, and into the list of the privileged helper')
    .addOption(new Option('--host-root <folder>', 'for tests').default('/').hideHelp())
    .addHelpText(
      'after',
      `
Stop the agent meanwhile, or expect it to start on cameras. Ports with something in them do not count until they were
empty once. Without --write the entries are printed on standard output.

Examples:
  dockctl bays learn --count 8               shows the [[bay]] entries of eight bays
  dockctl bays learn --from 3 --count 1 --write   teaches bay 3 anew`,
    )
    .action(async (options: LearnOptions) => {
      const { from, write = false, hostRoot } = options;
      const count = options.count ?? mostBays - from + 1;
      if (from + count - 1 > mostBays) {
        throw new DockError('control.bad-request', `there is no bay above ${mostBays}`);
      }
      const output = context.output();
      const person = listenToPerson();
      const bays = await learnBays(
        { from, count, sysRoot: join(hostRoot, 'sys') },
        { output, clock: context.clock, signal: person.signal, onSkip: person.onSkip },
      );
      person.leave();
      const toml = bayFragment(bays);
      // Shown first: should writing fail, nobody has to plug everything again.
      if (!output.isJson) output.result(toml, () => toml || 'No bay was learned.');
      const done =
        write && bays.length > 0 ? await store(bays, hostRoot, context) : nothingWritten(bays, hostRoot);
      const result: LearnResult = { bays, toml, ...done };
      if (output.isJson) output.item(result, () => '');
      else for (const line of done.next) process.stderr.write(`${printable(line)}\n`);
    });
}

/** Ctrl-C ends, Enter on a terminal skips. A pipe is not read: scripts say how many bays there are. */
function listenToPerson(): {
  signal: AbortSignal;
  onSkip: (skip: () => void) => void;
  leave: () => void;
} {
  const over = new AbortController();
  const end = (): void => over.abort();
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  return {
    signal: over.signal,
    onSkip: (skip) => {
      if (process.stdin.isTTY) process.stdin.on('data', skip).on('end', end);
    },
    leave: () => {
      process.removeListener('SIGINT', end);
      process.removeListener('SIGTERM', end);
      process.stdin.pause();
    },
  };
}

type Stored = Pick<LearnResult, 'written' | 'bayPortsFile' | 'next'>;

async function store(
  bays: readonly LearnedBay[],
  hostRoot: string,
  context: { configPath: () => string | undefined; socketPath: () => string },
): Promise<Stored> {
  const file = context.configPath() ?? process.env['DOCK_CONFIG'] ?? systemConfigPath;
  const isNew = !existsSync(file);
  const config = writeLearnedBays(file, bays);
  const list = bayPorts(config);
  const listFile = bayPortsFile(hostRoot);
  const isListWritten = tryWrite(listFile, list);
  const socketPath = isNew ? undefined : socketOf(file, context);
  const isRunning = socketPath !== undefined && (await isAnswering(socketPath));
  return {
    written: file,
    bayPortsFile: isListWritten ? listFile : null,
    next: [
      `Written: ${file}${isNew ? '' : `; as it was before: ${file}.bak`}`,
      isListWritten
        ? `Written: ${listFile}`
        : `Not written: ${listFile}. Put these ports there, one a line, as root: ${list.trim().split('\n').join(' ')}`,
      ...(isRunning ? ['The agent runs with the bays of before: systemctl restart dock-agent'] : []),
    ],
  };
}

function nothingWritten(bays: readonly LearnedBay[], hostRoot: string): Stored {
  if (bays.length === 0) return { written: null, bayPortsFile: null, next: [] };
  const ports = bays.map(({ usbPort }) => usbPort).join(' ');
  return {
    written: null,
    bayPortsFile: null,
    next: [
      `Put these entries into the configuration, or give --write. The privileged helper needs the ports as well, one a`,
      `line in ${bayPortsFile(hostRoot)}: ${ports}`,
    ],
  };
}

/** The socket of the agent that reads this configuration, unless another was named. */
function socketOf(file: string, context: { socketPath: () => string }): string {
  try {
    return context.socketPath();
  } catch {
    return socketPathOf(loadConfig(file, {}).config);
  }
}

async function isAnswering(socketPath: string): Promise<boolean> {
  try {
    await askForResult(socketPath, 'status', {});
    return true;
  } catch {
    return false;
  }
}

/** Only where the folder was set up for it. */
function tryWrite(file: string, text: string): boolean {
  if (!existsSync(dirname(file))) return false;
  try {
    replaceFile(file, text);
    return true;
  } catch {
    return false;
  }
}
