import type { Command } from 'commander';
import { askForResult } from '../control/client.ts';
import type { ControlRequestName } from '../control/requests.ts';
import type { CommandContext } from './agent-commands.ts';
import type { AskedBaysAnswer, AskedBaysUntilAnswer } from './answers.ts';
import { bayNumber, seconds } from './arguments.ts';
import { userName } from './user-name.ts';
import { stationWords } from './words/station-words.ts';

/** Commands that have a bay, or all of them, do something now. */
export function addBayCommands(program: Command, context: CommandContext): void {
  const ask = async <T>(name: ControlRequestName, body: object): Promise<T> =>
    (await askForResult(context.socketPath(), name, body)) as T;

  program
    .command('pull')
    .description('begin a docking session now, in all bays or in one')
    .argument('[bay]', 'number of the bay', bayNumber)
    .option('--camera <serial>', 'in the bay of this camera')
    .addHelpText(
      'after',
      `
A camera that is done is looked at once more; one that waits to be tried again is tried at once.

Examples:
  dockctl pull
  dockctl pull 3
  dockctl pull --camera BC-1001`,
    )
    .action(async (bay: number | undefined, { camera }: { camera?: string }) => {
      const answer = await ask<AskedBaysAnswer>('pull', { bay, serialNumber: camera });
      context
        .output()
        .result(answer, ({ bays }, language) => stationWords[language].begun({ bays: bays.join(', ') }));
    });

  program
    .command('pause')
    .description('begin nothing new in all bays or in one; what is under way stops where it can be resumed')
    .argument('[bay]', 'number of the bay', bayNumber)
    .option('--for <time>', 'for so long, such as 90s, 30m, 2h; at most 24h', seconds, 3600)
    .addHelpText(
      'after',
      `
A pause ends by itself, with dockctl resume, and with a restart of the agent.

Examples:
  dockctl pause --for 15m
  dockctl pause 3`,
    )
    .action(async (bay: number | undefined, options: { for: number }) => {
      const body = { bay, forSeconds: options.for, by: userName() };
      const answer = await ask<AskedBaysUntilAnswer>('pause', body);
      context
        .output()
        .result(answer, ({ bays, until }, language) =>
          stationWords[language].paused({ bays: bays.join(', '), until }),
        );
    });

  program
    .command('resume')
    .description('end a pause')
    .argument('[bay]', 'number of the bay', bayNumber)
    .addHelpText('after', '\nExample:\n  dockctl resume')
    .action(async (bay: number | undefined) => {
      const answer = await ask<AskedBaysAnswer>('resume', { bay });
      context.output().result(answer, ({ bays }, language) => {
        const words = stationWords[language];
        return bays.length === 0 ? words.nonePaused : words.resumed({ bays: bays.join(', ') });
      });
    });

  program
    .command('identify')
    .description('let a bay, or all, show itself to whoever stands in front of the station')
    .argument('[bay]', 'number of the bay', bayNumber)
    .option('--for <time>', 'for so long, such as 30s, 5m; at most 10m', seconds, 30)
    .addHelpText('after', '\nExample:\n  dockctl identify 3 --for 2m')
    .action(async (bay: number | undefined, options: { for: number }) => {
      const answer = await ask<AskedBaysUntilAnswer>('identify', { bay, forSeconds: options.for });
      context
        .output()
        .result(answer, ({ bays, until }, language) =>
          stationWords[language].shown({ bays: bays.join(', '), until }),
        );
    });
}
