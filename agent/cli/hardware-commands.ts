import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Clock } from '../../dock/clock.ts';
import { draftProfile } from '../../dock/camera/draft-profile.ts';
import { readRawUsb } from '../../dock/host/usb-attributes.ts';
import { usbPortPath } from '../../dock/host/usb-tree.ts';
import { DockError } from '../../protocol/errors.ts';
import { addBaysLearn } from './bays-learn-command.ts';
import { dumpContents, dumpText, hardwareDump } from './hardware-dump.ts';
import { printable, type Output } from './output.ts';
import type { DraftAnswer, DumpAnswer } from './probe-answer.ts';
import { onlyPort, survey, type HostRoots, type Survey } from './probe-report.ts';
import { showProbe } from './probe-text.ts';

interface ProbeOptions {
  port?: string;
  verbose?: boolean;
  draft?: string;
  output?: string;
  dump?: string;
  force?: boolean;
  hostRoot: string;
}

export interface HardwareContext {
  readonly output: () => Output;
  readonly configPath: () => string | undefined;
  readonly socketPath: () => string;
  readonly clock: Clock;
}

/** Commands that look at the hardware of the station; they need no agent and open no device. */
export function addHardwareCommands(program: Command, context: HardwareContext): void {
  program
    .command('probe')
    .description('what is attached over USB, HID and serial lines, and what the station takes it for')
    .option('--port <path>', 'only the device on this port, such as 1-1.2', portPath)
    .option('--verbose', 'say of every device why each profile does not match')
    .addOption(
      new Option('--draft <port>', 'draft a camera profile for the device on this port')
        .argParser(portPath)
        .conflicts(['dump', 'port', 'verbose']),
    )
    .option('--output <file>', 'where to put the draft; else it is printed')
    .addOption(
      new Option('--dump <file>', 'write everything a bug report needs, without serial numbers').conflicts([
        'port',
        'verbose',
        'output',
      ]),
    )
    .option('--force', 'overwrite the file of --output or --dump')
    .addOption(new Option('--host-root <folder>', 'for tests').default('/').hideHelp())
    .addHelpText(
      'after',
      `
Needs no agent and no rights, and opens no device. Exit code 1 when nothing is plugged in at --port.

Examples:
  dockctl probe                              everything that is attached
  dockctl probe --port 1-1.2 --verbose       one device, and every profile that does not match it
  dockctl probe --draft 1-1.2 --output /etc/docking-station/profiles/new-camera.toml
  dockctl probe --dump hardware.json         for a bug report`,
    )
    .action(async (options: ProbeOptions) => {
      const { hostRoot } = options;
      if (options.output !== undefined && options.draft === undefined) {
        throw new DockError('control.bad-request', '--output goes with --draft');
      }
      const roots = { sysRoot: join(hostRoot, 'sys'), devRoot: join(hostRoot, 'dev') };
      const found = await survey(roots, context.configPath());
      if (options.draft !== undefined) draft(found, options.draft, options, context.output());
      else if (options.dump !== undefined) await dump(found, roots, options.dump, options, context.output());
      else show(found, options, context.output());
    });

  const bays = program.commands.find((command) => command.name() === 'bays');
  if (!bays) throw new Error('the command bays comes first');
  addBaysLearn(bays, context);
}

function show({ answer }: Survey, { port, verbose = false }: ProbeOptions, output: Output): void {
  const shown = port === undefined ? answer : onlyPort(answer, port);
  output.result(shown, () => showProbe(shown, { verbose, ...(port !== undefined && { port }) }));
  if (port !== undefined && shown.usb.length === 0) process.exitCode = 1;
}

function draft(
  { devices, hidNodes, profiles }: Survey,
  port: string,
  { output: file, force = false }: ProbeOptions,
  output: Output,
): void {
  const device = devices.find(({ portPath: at }) => at === port);
  if (!device) throw new DockError('control.bad-request', `nothing is plugged in at ${port}`);
  const usages = new Map(hidNodes.flatMap(({ name, usage }) => (usage ? [[name, usage]] : [])));
  const toml = draftProfile(device, { usages, takenNames: profiles.map(({ name }) => name) });
  if (file !== undefined) writeNew(file, toml, force);
  const answer: DraftAnswer = { port, file: file ?? null, toml };
  output.result(answer, () =>
    file === undefined ? toml : `Written: ${printable(file)}. Check what its comments ask for.`,
  );
}

async function dump(
  { hidNodes, answer }: Survey,
  roots: HostRoots,
  file: string,
  { force = false }: ProbeOptions,
  output: Output,
): Promise<void> {
  const contents = hardwareDump(await readRawUsb(roots), hidNodes, answer);
  writeNew(file, `${dumpText(contents)}\n`, force);
  const written: DumpAnswer = { file, contents: dumpContents.replaceAll('\n', ' ') };
  output.result(written, () => {
    return `Written: ${printable(file)}\n${dumpContents}\nLook at it before you hand it on.`;
  });
}

function writeNew(file: string, text: string, force: boolean): void {
  try {
    writeFileSync(file, text, { flag: force ? 'w' : 'wx' });
  } catch (cause) {
    const isThere = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    const message = cause instanceof Error ? cause.message : file;
    throw new DockError(
      'control.bad-request',
      isThere ? `${file} exists already; --force overwrites it` : message,
      { cause },
    );
  }
}

function portPath(text: string): string {
  if (!usbPortPath.test(text)) throw new InvalidArgumentError('a USB port path such as 1-1.2 is needed');
  return text;
}
