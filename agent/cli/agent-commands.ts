import { userInfo } from 'node:os';
import { Argument, InvalidArgumentError, type Command } from 'commander';
import { retireCauses } from '../enrolment/register.ts';
import { askAgent, askForResult } from '../control/client.ts';
import type { ControlRequestName } from '../control/requests.ts';
import { bytes, offset, printable, table, type Output } from './output.ts';
import type {
  BaysAnswer,
  CamerasAnswer,
  EnrolAnswer,
  EventLine,
  QuotaAnswer,
  RecordingsAnswer,
  RetireAnswer,
  SessionsAnswer,
  StatusAnswer,
  VerifyAnswer,
} from './answers.ts';

/** What a command needs to reach the agent and to print. */
export interface CommandContext {
  readonly socketPath: () => string;
  readonly output: () => Output;
}

/** Commands that ask the running agent. */
export function addAgentCommands(program: Command, context: CommandContext): void {
  const ask = async <T>(name: ControlRequestName, body: object = {}): Promise<T> =>
    (await askForResult(context.socketPath(), name, body)) as T;

  program
    .command('status')
    .description('is this station all right?')
    .action(async () => context.output().result(await ask<StatusAnswer>('status'), showStatus));

  program
    .command('bays')
    .description('what is in each bay and what is being done')
    .action(async () => context.output().result(await ask<BaysAnswer>('bays'), showBays));

  program
    .command('cameras')
    .description('every known camera: enrolment, clock, battery, recordings')
    .action(async () => context.output().result(await ask<CamerasAnswer>('cameras'), showCameras));

  program
    .command('recordings')
    .description('stored recordings, newest first')
    .option('--camera <serial>', 'only those of this camera')
    .option('--limit <count>', 'at most so many', wholeNumber, 50)
    .option('--before <id>', 'go on after this recording of the page before')
    .addHelpText('after', '\nExample:\n  dockctl recordings --camera BC-1001 --limit 10')
    .action(async ({ camera, limit, before }: { camera?: string; limit: number; before?: string }) => {
      const answer = await ask<RecordingsAnswer>('recordings', { serialNumber: camera, limit, before });
      context.output().result(answer, showRecordings);
    });

  program
    .command('sessions')
    .description('the latest docking sessions with their accounts')
    .option('--limit <count>', 'at most so many', wholeNumber, 20)
    .action(async ({ limit }: { limit: number }) =>
      context.output().result(await ask<SessionsAnswer>('sessions', { limit }), showSessions),
    );

  program
    .command('enrol')
    .description('let a camera count against the quota of the post')
    .argument('<serial>', 'serial number of the camera')
    .option('--reason <text>', 'why, for the record')
    .addHelpText('after', '\nExample:\n  dockctl enrol BC-1006 --reason "delivery of 22 November"')
    .action(async (serialNumber: string, { reason }: { reason?: string }) => {
      const answer = await ask<EnrolAnswer>('enrol', { serialNumber, by: userName(), reason });
      context.output().result(answer, showEnrolled);
      if (answer.kind === 'refused') process.exitCode = 3;
    });

  program
    .command('retire')
    .description('a camera no longer counts: lost, broken, too old, moved to another post')
    .argument('<serial>', 'serial number of the camera')
    .addArgument(new Argument('<cause>', 'why').choices(retireCauses))
    .option('--note <text>', 'for the record')
    .addHelpText('after', '\nExample:\n  dockctl retire BC-1003 broken --note "lens cracked, act no. 14"')
    .action(async (serialNumber: string, cause: string, { note }: { note?: string }) => {
      const answer = await ask<RetireAnswer>('retire', { serialNumber, by: userName(), cause, note });
      context.output().result(answer, ({ usage }) => {
        return `${serialNumber} is retired. ${usage.enrolled} of ${usage.quota} places are taken.`;
      });
    });

  program
    .command('quota')
    .description('the norm of the post and how much of it is used')
    .action(async () => context.output().result(await ask<QuotaAnswer>('quota'), showQuota));

  program
    .command('verify')
    .description('read stored recordings back and compare them with their digests')
    .option('--camera <serial>', 'only those of this camera')
    .action(async ({ camera }: { camera?: string }) => {
      const output = context.output();
      const problems: unknown[] = [];
      for await (const line of askAgent(context.socketPath(), 'verify', { serialNumber: camera })) {
        if (line.kind === 'progress') output.progress(`${line.done} of ${line.total} ${line.what}`);
        if (line.kind === 'item') problems.push(line.item);
        if (line.kind !== 'result') continue;
        output.progress('');
        const result = { ...(line.result as VerifyAnswer), problems: problems as VerifyAnswer['problems'] };
        output.result(result, showVerified);
        if (result.damaged + result.missing > 0) process.exitCode = 4;
      }
    });

  program
    .command('events')
    .description('what happened, oldest first')
    .option('--follow', 'go on as new ones come')
    .option('--after <seq>', 'only those after this sequence number', wholeNumber)
    .option('--limit <count>', 'at most so many of the past', wholeNumber, 20)
    .addHelpText('after', '\nExamples:\n  dockctl events --follow\n  dockctl events --after 120 --json')
    .action(async (options: { follow?: boolean; after?: number; limit: number }) => {
      // Lines are written whole, so this is an end as good as any.
      if (options.follow) process.once('SIGINT', () => process.exit(0));
      for await (const line of askAgent(context.socketPath(), 'events', options)) {
        if (line.kind === 'item') context.output().item(line.item as EventLine, showEvent);
      }
    });
}

/** Who acts, for the record; a user without an entry in the user database by number. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('a whole number is needed');
  return Number(text);
}

function showStatus(status: StatusAnswer): string {
  const problems = status.bays.filter(({ phase }) => phase === 'attention');
  const { department, post, name } = status.station;
  const lines = [
    `Station ${name} of post ${post}, department ${department} (agent ${status.version}, since ${status.startedAt})`,
    problems.length === 0
      ? 'All bays are well.'
      : `Look at bay ${problems.map(({ bay }) => bay).join(', ')}: ${printable(problems[0]?.detail ?? problems[0]?.code ?? '')}`,
    ...(status.stationClock.isTrusted
      ? []
      : ['Camera clocks are not set until the clock of this station is synchronised: chronyc tracking']),
    '',
    showBays(status),
    '',
    showQuota(status.quota),
    `Recordings   ${status.recordings} stored, ${status.quarantined} in quarantine, ${bytes(status.vault.freeBytes)} free in ${status.vault.folder}`,
    `Clock        ${status.stationClock.isTrusted ? 'may be given to cameras' : 'cameras are NOT set'}: ${printable(status.stationClock.evidence)}`,
    `Broker       ${status.broker.url}, ${status.broker.isConnected ? `connected (MQTT ${status.broker.protocolVersion === 5 ? '5' : '3.1.1'})` : `not connected: ${printable(status.broker.problem ?? 'not yet')}`}, ${status.broker.waitingEvents} events waiting`,
  ];
  return lines.join('\n');
}

function showBays({ bays }: BaysAnswer): string {
  if (bays.length === 0) return 'No bays are configured. Add [[bay]] entries: dockctl config explain';
  return table(
    ['BAY', 'CAMERA', 'PHASE', 'RECORDINGS', 'PULLED', 'SPEED', ''],
    bays.map((bay) => [
      String(bay.bay),
      bay.serialNumber ?? '-',
      bay.phase,
      bay.serialNumber ? `${bay.recordingsDone}/${bay.recordingsListed}` : '',
      bay.serialNumber ? `${bytes(bay.bytesDone)} of ${bytes(bay.bytesPlanned)}` : '',
      bay.bytesPerSecond > 0 ? `${bytes(bay.bytesPerSecond)}/s` : '',
      bay.code ? `${bay.code}` : (bay.detail ?? ''),
    ]),
    [0],
  );
}

function showCameras({ cameras }: CamerasAnswer): string {
  if (cameras.length === 0) return 'No camera was ever seen here.';
  return table(
    [
      'CAMERA',
      'ENROLMENT',
      'KEY',
      'BAY',
      'MODEL',
      'BATTERY',
      'CLOCK WAS',
      'CLOCK IS',
      'DRIFT',
      'RECORDINGS',
      'LAST DOCKED',
    ],
    cameras.map((camera) => [
      camera.serialNumber,
      camera.enrolment,
      camera.hasKey ? 'yes' : 'no',
      camera.dockedInBay === null ? '-' : String(camera.dockedInBay),
      camera.model ?? '-',
      camera.health?.batteryPercent === undefined ? '-' : `${camera.health.batteryPercent} %`,
      offset(camera.clock?.offsetMs ?? null, camera.clock?.uncertaintyMs ?? null),
      offset(camera.clock?.residualMs ?? null, camera.clock?.residualUncertaintyMs ?? null),
      drift(camera.clock?.driftPpm ?? null),
      String(camera.recordings),
      camera.lastDockedAt ?? '-',
    ]),
    [3, 5, 8, 9],
  );
}

function drift(ppm: number | null): string {
  return ppm === null ? '-' : `${ppm.toFixed(1)} ppm`;
}

function showRecordings({ recordings, vault }: RecordingsAnswer): string {
  if (recordings.length === 0) return 'No recordings are stored.';
  const rows = recordings.map((recording) => [
    recording.serialNumber,
    recording.path,
    bytes(recording.sizeBytes),
    recording.kind + (recording.isProtected ? ', protected' : ''),
    new Date(recording.storedAt).toISOString().slice(0, 19),
    recording.removedAt === undefined ? 'yes' : 'no',
    recording.storedPath,
  ]);
  const head = ['CAMERA', 'PATH ON CAMERA', 'SIZE', 'KIND', 'STORED (UTC)', 'ON CAMERA', 'FILE'];
  return `${table(head, rows, [2])}\nFiles are in ${vault}`;
}

function showSessions({ sessions }: SessionsAnswer): string {
  return table(
    [
      'STARTED',
      'BAY',
      'CAMERA',
      'OUTCOME',
      'LISTED',
      'STORED',
      'HELD',
      'QUARANTINED',
      'REFUSED',
      'LEFT',
      'CODE',
    ],
    sessions.map((session) => [
      session.startedAt.slice(0, 19),
      String(session.bay),
      session.serialNumber,
      session.outcome ?? 'running',
      ...[session.listed, session.stored, session.held, session.quarantined, session.refused].map(String),
      String(session.unaccounted),
      session.code ?? '',
    ]),
    [1, 4, 5, 6, 7, 8, 9],
  );
}

function showEnrolled(answer: EnrolAnswer): string {
  if (answer.kind === 'refused') return `${answer.serialNumber} is refused: ${answer.reason}`;
  const { enrolled, quota } = answer.usage;
  return `${answer.serialNumber} ${answer.isNew ? 'is enrolled' : 'was enrolled already'}. ${enrolled} of ${quota} places are taken.`;
}

function showQuota(usage: QuotaAnswer): string {
  if (!usage.isHeadcountKnown)
    return 'Quota        0: the headcount of the post is not configured ([post] headcount)';
  return [
    `Quota        ${usage.enrolled} of ${usage.quota} cameras enrolled, ${usage.refused} refused (headcount ${usage.headcount}, row ${usage.row})`,
    `             ${usage.citation}`,
  ].join('\n');
}

function showVerified(result: VerifyAnswer): string {
  const problems = result.problems.map(
    ({ storedPath, code, message }) => `${code}  ${printable(storedPath)}: ${printable(message)}`,
  );
  const { checked, intact, damaged, missing } = result;
  const summary = `${checked} recordings read back (${bytes(result.bytes)}): ${intact} intact, ${damaged} damaged, ${missing} missing`;
  return [...problems, summary].join('\n');
}

function showEvent(event: EventLine): string {
  const facts = Object.entries(event.data)
    .filter(([name]) => name !== 'citation')
    .map(
      ([name, value]) =>
        `${name}=${typeof value === 'string' && /\s/.test(value) ? JSON.stringify(value) : String(value)}`,
    );
  return printable(
    `${event.ts}  ${String(event.seq).padStart(5)}  ${event.type.padEnd(22)}  ${facts.join(' ')}`,
  );
}
