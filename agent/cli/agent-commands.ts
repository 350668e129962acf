import type { Command } from 'commander';
import { askAgent, askForResult } from '../control/client.ts';
import type { ControlRequestName } from '../control/requests.ts';
import { wholeNumber } from './arguments.ts';
import { bytes, offset, printable, table, type Output } from './output.ts';
import type {
  BaysAnswer,
  CamerasAnswer,
  EventLine,
  FaultsAnswer,
  RecordingsAnswer,
  SessionsAnswer,
  StatusAnswer,
  VerifyAnswer,
} from './answers.ts';
import { showQuota } from './norm-commands.ts';
import { errorText } from './words/error-texts.ts';
import type { Language } from './words/language.ts';
import { registerWords } from './words/register-words.ts';
import { stationWords } from './words/station-words.ts';

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
    .command('faults')
    .description('what went wrong between bays and cameras, and which of them is to blame')
    .action(async () => context.output().result(await ask<FaultsAnswer>('faults'), showFaults));

  program
    .command('verify')
    .description('read stored recordings back and compare them with their digests')
    .option('--camera <serial>', 'only those of this camera')
    .action(async ({ camera }: { camera?: string }) => {
      const output = context.output();
      const problems: unknown[] = [];
      for await (const line of askAgent(context.socketPath(), 'verify', { serialNumber: camera })) {
        if (line.kind === 'progress') output.progress(stationWords[output.language].verifying(line));
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

function showStatus(status: StatusAnswer, language: Language): string {
  const words = stationWords[language];
  const problems = status.bays.filter(({ phase }) => phase === 'attention' || phase === 'quarantined');
  const [first] = problems;
  const { name, post, department } = status.station;
  const { broker, vault, stationClock } = status;
  const free = vault.freeBytes === null ? words.unknownRoom : bytes(vault.freeBytes, language);
  const evidence = printable(stationClock.evidence);
  const count = broker.waitingEvents;
  const lines = [
    words.station({ name, post, department, version: status.version, since: status.startedAt }),
    problems.length === 0
      ? words.allBaysWell
      : words.lookAtBay({
          bays: problems.map(({ bay }) => bay).join(', '),
          why: printable(first?.detail ?? first?.code ?? ''),
        }),
    ...(first?.code ? [words.whatToDo(errorText(first.code, language))] : []),
    ...(vault.problem
      ? [words.vaultProblem({ meaning: errorText(vault.problem, language).meaning, code: vault.problem })]
      : []),
    ...(stationClock.isTrusted ? [] : [words.clocksWait]),
    ...status.health.problems.map(
      ({ level, code, detail }) => `${words.levels[level]}: ${code}, ${printable(detail)} (dockctl health)`,
    ),
    '',
    showBays(status, language),
    '',
    showQuota(status.quota),
    words.recordingsLine({
      stored: status.recordings,
      quarantined: status.quarantined,
      free,
      folder: vault.folder,
    }),
    stationClock.isTrusted ? words.clockLine({ evidence }) : words.clockBadLine({ evidence }),
    broker.isConnected
      ? words.brokerLine({ url: broker.url, version: broker.protocolVersion === 5 ? '5' : '3.1.1', count })
      : words.brokerAwayLine({ url: broker.url, why: printable(broker.problem ?? words.notYet), count }),
  ];
  return lines.join('\n');
}

function showBays({ bays }: BaysAnswer, language: Language): string {
  const words = stationWords[language];
  if (bays.length === 0) return words.noBays;
  return table(
    words.bayHead,
    bays.map((bay) => [
      String(bay.bay),
      bay.serialNumber ?? '-',
      words.phases[bay.phase],
      bay.serialNumber ? `${bay.recordingsDone}/${bay.recordingsListed}` : '',
      bay.serialNumber
        ? words.pulled({ done: bytes(bay.bytesDone, language), planned: bytes(bay.bytesPlanned, language) })
        : '',
      bay.bytesPerSecond > 0 ? words.perSecond({ rate: bytes(bay.bytesPerSecond, language) }) : '',
      [bay.identifyUntil === undefined ? '' : words.identify, bay.code ?? bay.detail ?? ''].join(' ').trim(),
    ]),
    [0],
  );
}

function showCameras({ cameras }: CamerasAnswer, language: Language): string {
  const words = stationWords[language];
  if (cameras.length === 0) return words.noCameras;
  return table(
    words.cameraHead,
    cameras.map((camera) => [
      camera.serialNumber,
      camera.isServiceLifeOver
        ? `${words.enrolments[camera.enrolment]}, ${registerWords[language].over}`
        : words.enrolments[camera.enrolment],
      camera.hasKey ? words.yes : words.no,
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

function showRecordings({ recordings, vault }: RecordingsAnswer, language: Language): string {
  const words = stationWords[language];
  if (recordings.length === 0) return words.noRecordings;
  const rows = recordings.map((recording) => [
    recording.serialNumber,
    recording.path,
    bytes(recording.sizeBytes, language),
    words.kinds[recording.kind] + (recording.isProtected ? `, ${words.isProtected}` : ''),
    recording.storedAt.slice(0, 19),
    recording.removedAt === undefined ? words.yes : words.no,
    recording.storedPath,
  ]);
  return `${table(words.recordingHead, rows, [2])}\n${words.filesIn({ folder: vault })}`;
}

function showSessions({ sessions }: SessionsAnswer, language: Language): string {
  const words = stationWords[language];
  return table(
    words.sessionHead,
    sessions.map((session) => [
      session.startedAt.slice(0, 19),
      String(session.bay),
      session.serialNumber,
      words.outcomes[session.outcome ?? 'running'],
      ...[session.listed, session.stored, session.held, session.quarantined, session.refused].map(String),
      String(session.unaccounted),
      session.code ?? '',
    ]),
    [1, 4, 5, 6, 7, 8, 9],
  );
}

function showFaults({ faults, verdicts }: FaultsAnswer, language: Language): string {
  const words = stationWords[language];
  if (faults.length === 0) return words.noFaults;
  const blamed = verdicts.map((verdict) =>
    printable(
      verdict.kind === 'bay'
        ? words.bayToBlame({ bay: String(verdict.bay), cameras: verdict.cameras.join(', ') })
        : words.cameraToBlame({ camera: verdict.serialNumber, bays: verdict.bays.join(', ') }),
    ),
  );
  const rows = faults.map(({ bay, serialNumber, code, count, lastAt }) => [
    String(bay),
    serialNumber || words.didNotSay,
    code,
    String(count),
    lastAt.slice(0, 19),
  ]);
  return `${table(words.faultHead, rows, [0, 3])}\n${blamed.join('\n') || words.cannotTell}`;
}

function showVerified(result: VerifyAnswer, language: Language): string {
  const problems = result.problems.map(
    ({ storedPath, code, message }) => `${code}  ${printable(storedPath)}: ${printable(message)}`,
  );
  return [
    ...problems,
    stationWords[language].verified({ ...result, size: bytes(result.bytes, language) }),
  ].join('\n');
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
