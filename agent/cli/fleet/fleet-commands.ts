import { readFileSync } from 'node:fs';
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Clock, RandomSource } from '../../../dock/clock.ts';
import { DockError } from '../../../protocol/errors.ts';
import { topicLevel } from '../../../protocol/mqtt/topics.ts';
import type { BrokerOptions } from '../../report/broker-connection.ts';
import { askForResult } from '../../control/client.ts';
import type { Fleet } from '../../enrolment/fleet.ts';
import type { Output } from '../output.ts';
import { showFleet } from '../show-fleet.ts';
import { duration } from '../arguments.ts';
import { stationStates, type ShownState } from './fleet-snapshot.ts';

export interface FleetContext {
  /** Of the agent; absent where there is none: then a broker has to be named. */
  readonly socketPath?: () => string;
  readonly output: () => Output;
  readonly clock: Clock;
  readonly random: RandomSource;
}

export interface FleetFlags {
  readonly broker?: string;
  readonly username?: string;
  readonly passwordFile?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly department?: string;
  readonly post?: string;
  readonly station?: string;
  readonly state?: ShownState[];
  readonly alarm?: string;
  readonly overdueAfter: number;
  readonly clockLimit: number;
  readonly silentAfter: number;
  readonly settle: number;
  readonly once?: boolean;
  readonly follow?: boolean;
}

export interface CheckFlags extends FleetFlags {
  readonly for?: number;
  readonly events?: number;
  readonly replay?: boolean;
  readonly acknowledge?: boolean;
}

/** Exit code of a check that did not prove what it was to prove. */
const notProvenExitCode = 6;

/** All stations of a broker, from MQTT alone; no agent is needed. */
export function addFleetCommands(program: Command, context: FleetContext): void {
  const fleet = program
    .command('fleet')
    .description(
      'how old the cameras of the post are and when to replace them; --broker: all stations, live',
    );
  setUpMonitor(fleet, context);
}

/** Makes a command the monitor: `dockctl fleet`, and the script of the control room. */
export function setUpMonitor(command: Command, context: FleetContext): void {
  const name = command.parent ? 'dockctl fleet' : command.name();
  const broker = new Option('--broker <url>', 'mqtt://host, mqtts://host or ws(s)://…').argParser(brokerUrl);
  command
    .addOption(broker.makeOptionMandatory(!context.socketPath))
    .option('--username <name>', 'for the broker')
    .option('--password-file <file>', 'its password; the first line of the file')
    .option('--ca <file>', 'certificates of the authority of the broker, PEM')
    .option('--cert <file>', 'own certificate, PEM; with --key')
    .option('--key <file>', 'its key, PEM')
    .option('--department <name>', 'only this one', level)
    .option('--post <name>', 'only this one', level)
    .option('--station <name>', 'only this one', level)
    .addOption(new Option('--state <state...>', 'only stations in one of these').choices(stationStates))
    .option('--alarm <code>', 'only stations with this alarm')
    .addOption(timeOption('--overdue-after <time>', 'an enrolled camera has to dock within this', '2d'))
    .addOption(timeOption('--clock-limit <time>', 'a clock further off is out of bounds', '2s'))
    .addOption(timeOption('--silent-after <time>', 'an online station says something within this', '10m'))
    .addOption(timeOption('--settle <time>', 'when nothing retained came for so long, all is here', '1s'))
    .addOption(new Option('--once', 'one picture, and no more').conflicts('follow'))
    .option('--follow', 'a line for each change: states, alarms, gaps between events')
    .addHelpText(
      'after',
      `
${context.socketPath ? 'Without --broker the sets of this post, from its register: ages, and a calendar of replacements.\nWith --broker on' : 'On'} a terminal a live table until Ctrl-C: alarms first, then the worst stations. Not on a terminal, or with
--once or --json, one picture as soon as everything retained has come; an error when the broker is away.
Times: 30s, 10m, 12h, 2d.

Mosquitto needs max_queued_messages 0 in its configuration: as it comes it sends a subscriber 1000 of the retained
messages and drops the others unheard.

Examples:${context.socketPath ? `\n  ${name}` : ''}
  ${name} --broker mqtt://localhost
  ${name} --broker mqtts://broker.example --ca ca.pem --cert room.pem --key room.key
  ${name} --broker mqtt://localhost --department almaty --state lost silent
  ${name} --broker mqtt://localhost --alarm vault.disk-full --once
  ${name} --broker mqtt://localhost --follow
  ${name} --broker mqtt://localhost --json | jq '.overdueCameras[].serialNumber'
  ${name} check --broker mqtt://localhost --for 10m`,
    )
    .action(async (flags: FleetFlags) => {
      if (flags.broker === undefined && context.socketPath) {
        const sets = (await askForResult(context.socketPath(), 'fleet', {})) as Fleet;
        return context.output().result(sets, showFleet);
      }
      // Loaded when it is needed: the client library costs every other command its start.
      const { watchFleet } = await import('./watch-fleet.ts');
      await watchFleet(flags, brokerOptions(flags), context);
    });

  command
    .command('check')
    .description('prove for a period that no event of any station is missing')
    .option('--for <time>', 'how long to listen', duration)
    .option('--events <count>', 'until so many events were heard', wholeNumber)
    .option('--replay', 'ask stations to send again what is missing')
    .option(
      '--acknowledge',
      'tell stations that all up to what was heard whole is safe here: only for trials',
    )
    .addHelpText(
      'after',
      `
Each event names the one before it. A gap is an event that was named and did not come; samples that the station
dropped are none. What the station says it has recorded, and did not come within half a minute, is missing too.
Listens for one minute when neither --for nor --events is given.

Exit codes: 0 proven, 1 failed, ${notProvenExitCode} not proven: events are missing, out of order, or nothing was heard.

Examples:
  ${name} check --broker mqtt://localhost --for 10m
  ${name} check --broker mqtt://localhost --events 10000 --json
  ${name} check --broker mqtt://localhost --for 10m --replay`,
    )
    .action(async (_: unknown, check: Command) => {
      const { checkFleet, showCheck } = await import('./run-check.ts');
      const flags = check.optsWithGlobals<CheckFlags>();
      const report = await checkFleet(flags, brokerOptions(flags), context);
      context.output().result(report, showCheck);
      if (!report.isProven) process.exitCode = notProvenExitCode;
    });
}

type FleetBroker = Omit<BrokerOptions, 'clientId' | 'onMessage' | 'will'>;

function brokerOptions({ broker, username, passwordFile, ca, cert, key }: FleetFlags): FleetBroker {
  if (broker === undefined) throw new DockError('control.bad-request', 'name a broker: --broker mqtt://host');
  if ((cert === undefined) !== (key === undefined)) {
    throw new DockError('control.bad-request', '--cert and --key go together');
  }
  return {
    url: broker,
    ...(username !== undefined && { username }),
    ...(passwordFile !== undefined && { password: read(passwordFile).toString().split(/\r?\n/)[0] ?? '' }),
    ...(ca !== undefined && { ca: read(ca) }),
    ...(cert !== undefined && { cert: read(cert) }),
    ...(key !== undefined && { key: read(key) }),
  };
}

function timeOption(flags: string, description: string, otherwise: string): Option {
  return new Option(flags, description).argParser(duration).default(duration(otherwise), otherwise);
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new DockError('control.bad-request', cause instanceof Error ? cause.message : file, { cause });
  }
}

const schemes = ['mqtt:', 'mqtts:', 'ws:', 'wss:'];

function brokerUrl(text: string): string {
  const url = URL.parse(text);
  if (!url || !schemes.includes(url.protocol) || url.hostname === '') {
    throw new InvalidArgumentError('an address such as mqtts://broker.example:8883 is needed');
  }
  // It would be seen in the list of processes, and shown in every error.
  if (url.password !== '') throw new InvalidArgumentError('give the password with --password-file');
  return text;
}

function level(text: string): string {
  if (!topicLevel.test(text)) throw new InvalidArgumentError('letters, digits, dots, dashes and underscores');
  return text;
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('a whole number above 0 is needed');
  return Number(text);
}
