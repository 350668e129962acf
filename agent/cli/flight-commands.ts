import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { askForResult } from '../control/client.ts';
import type { Flight } from '../flight/flight.ts';
import type { FlightSummary } from '../flight/flight-recorder.ts';
import type { CommandContext } from './agent-commands.ts';
import { bytes, printable, table } from './output.ts';

export function addFlightCommands(program: Command, context: CommandContext): void {
  const flights = program
    .command('flights')
    .description('what bays and cameras said to each other before a fault')
    .action(async () => {
      const answer = (await askForResult(context.socketPath(), 'flights', {})) as {
        flights: FlightSummary[];
      };
      context.output().result(answer, showList);
    });

  flights
    .command('show')
    .description('the messages of one of them')
    .argument('<id>', 'its id, or the first eight characters or more')
    .option('--save <file>', 'write it to a file, for those who develop the agent')
    .action(async (id: string, { save }: { save?: string }) => {
      const flight = (await askForResult(context.socketPath(), 'flight', { id })) as Flight;
      if (save !== undefined) writeFileSync(save, `${JSON.stringify(flight, undefined, 1)}\n`);
      context.output().result(flight, showFlight);
    });
}

function showList({ flights }: { flights: FlightSummary[] }): string {
  if (flights.length === 0) return 'No fault has been recorded.';
  return table(
    ['ID', 'AT (UTC)', 'BAY', 'CAMERA', 'CODE', 'MESSAGES', 'SIZE'],
    flights.map(({ id, at, bay, serialNumber, code, frames, sizeBytes }) => [
      id,
      at.slice(0, 19),
      String(bay),
      serialNumber || '-',
      code,
      String(frames),
      bytes(sizeBytes),
    ]),
    [2, 5, 6],
  );
}

function showFlight({ at, bay, serialNumber, code, detail, frames }: Flight): string {
  return [
    `${at}  bay ${bay}  ${printable(serialNumber)}  ${code}`,
    printable(detail),
    '',
    ...frames.map(({ beforeMs, direction, about, hex, sizeBytes }) => {
      const isCut = hex.length / 2 < sizeBytes ? '…' : '';
      const arrow = direction === 'in' ? '<' : '>';
      return `${`-${beforeMs.toFixed(1)}`.padStart(10)} ms ${arrow} ${about}, ${sizeBytes} bytes\n${' '.repeat(16)}${hex}${isCut}`;
    }),
  ].join('\n');
}
