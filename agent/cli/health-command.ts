import type { Command } from 'commander';
import { errorCatalogue } from '../../protocol/error-catalogue.ts';
import { askForResult } from '../control/client.ts';
import type { CommandContext } from './agent-commands.ts';
import type { HealthAnswer } from './answers.ts';
import { bytes, printable, table } from './output.ts';

/** Exit code 5 when something is critical, so that a script can tell. */
const criticalExitCode = 5;

export function addHealthCommand(program: Command, context: CommandContext): void {
  program
    .command('health')
    .description(
      'disks, memory, temperature, clock, bays and cameras of the station, and what is out of order',
    )
    .action(async () => {
      const report = (await askForResult(context.socketPath(), 'health', {})) as HealthAnswer;
      context.output().result(report, showHealth);
      if (report.level === 'critical') process.exitCode = criticalExitCode;
    });
}

export function showHealth(report: HealthAnswer): string {
  const words = {
    ok: 'The station is well.',
    warning: 'Something needs a look.',
    critical: 'Something needs a hand now.',
  };
  const problems = report.problems.flatMap(({ level, code, detail }) => [
    `${level.padEnd(8)}  ${code}: ${printable(detail)}`,
    `          ${errorCatalogue[code].nextStep}`,
  ]);
  const { bays, cameras } = report;
  const tables = [
    ...(bays.length > 0
      ? [
          '',
          table(
            ['BAY', 'LAST SUCCESS'],
            bays.map((each) => [String(each.bay), ago(each.secondsSinceSuccess)]),
            [0],
          ),
        ]
      : []),
    ...(cameras.length > 0
      ? [
          '',
          table(
            ['CAMERA', 'FREE', 'OF', 'RECORDS A DAY', 'FULL IN'],
            cameras.map((camera) => [
              camera.serialNumber,
              bytes(camera.storageFreeBytes),
              bytes(camera.storageTotalBytes),
              camera.recordedBytesPerDay === undefined ? '-' : bytes(camera.recordedBytesPerDay),
              span(camera.secondsUntilFull),
            ]),
            [1, 2, 3, 4],
          ),
        ]
      : []),
  ];
  return [words[report.level], ...problems, '', ...readings(report), ...tables].join('\n');
}

/** A source that this station lacks has no line. */
function readings(report: HealthAnswer): string[] {
  const line = (name: string, text: string | undefined): string[] =>
    text === undefined ? [] : [`${name.padEnd(12)} ${printable(text)}`];
  const space = (free: number | undefined, total: number | undefined): string | undefined =>
    free === undefined || total === undefined ? undefined : `${bytes(free)} free of ${bytes(total)}`;
  const vault = space(report.vaultFreeBytes, report.vaultTotalBytes);
  const rate =
    report.vaultBytesPerDay === undefined
      ? 'the rate is known after a day'
      : `${bytes(report.vaultBytesPerDay)} a day, full in ${span(report.vaultSecondsUntilFull)}`;
  const { diskErrors, diskErrorPlaces, smartFailingDisks, load5, processors, temperatureCelsius } = report;
  const memory = space(report.memoryAvailableBytes, report.memoryTotalBytes);
  return [
    ...line('Vault', vault && `${vault}; ${rate}`),
    ...line('State', space(report.stateFreeBytes, report.stateTotalBytes)),
    ...line(
      'Disk errors',
      diskErrors === undefined ? undefined : diskErrors === 0 ? 'none' : diskErrorPlaces?.join(', '),
    ),
    ...line(
      'SMART',
      smartFailingDisks === undefined
        ? undefined
        : `${smartFailingDisks} disks failing, ${report.smartBadSectors ?? 0} bad sectors, wear ${report.smartWearPercent ?? '-'} %`,
    ),
    ...line('Memory', memory && `${memory}; the agent takes ${bytes(report.agentResidentBytes ?? 0)}`),
    ...line('Load', load5 === undefined ? undefined : `${load5} on ${processors ?? '?'} processors`),
    ...line(
      'Temperature',
      temperatureCelsius === undefined
        ? undefined
        : `${temperatureCelsius.toFixed(1)} °C at ${report.temperatureSensor ?? ''}`,
    ),
    ...line('Clock', report.clockEvidence),
    ...line('Faults', `${report.lineFaults} between bays and cameras, see dockctl faults`),
    ...line('Backup', `${ago(report.backupAgeSeconds)} (dockctl database check)`),
  ];
}

function ago(seconds: number | undefined): string {
  return seconds === undefined ? 'never' : `${span(seconds)} ago`;
}

function span(seconds: number | undefined): string {
  if (seconds === undefined) return '-';
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}
