#!/usr/bin/env node
import { Command } from 'commander';
import { asDockError } from '../../protocol/errors.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { socketPathOf } from '../config/paths.ts';
import { loadConfig } from '../config/load.ts';
import { version } from '../version.ts';
import { addAgentCommands } from './agent-commands.ts';
import { addOfflineCommands } from './offline-commands.ts';
import { standardOutput } from './output.ts';

const program = new Command('dockctl')
  .description('Looks after the docking station of this post.')
  .version(version)
  .option('--json', 'print JSON, never translated')
  .option('--config <file>', 'configuration of the agent, to find its socket')
  .option('--socket <path>', 'control socket of the agent')
  .configureHelp({ showGlobalOptions: true })
  .showHelpAfterError('(dockctl --help shows what there is)')
  .addHelpText(
    'after',
    `
Examples:
  dockctl status                     is this station all right?
  dockctl events --follow            what is happening
  dockctl norm 400                   what the norm allows
  dockctl explain link.closed        what a code means and what to do

Exit codes: 0 done, 1 failed, 2 no agent, 3 refused by a rule, 4 recordings damaged or missing`,
  );

interface GlobalOptions {
  json?: boolean;
  config?: string;
  socket?: string;
}
const options = (): GlobalOptions => program.opts<GlobalOptions>();
const output = (): ReturnType<typeof standardOutput> => standardOutput(options().json === true);

addAgentCommands(program, {
  output,
  socketPath: () => options().socket ?? socketPathOf(loadConfig(options().config, process.env).config),
});
addOfflineCommands(program, { output, clock: systemClock, configPath: () => options().config });

// --json may stand behind the command as well, where people write it.
for (const command of [program, ...program.commands].flatMap(({ commands }) => commands)) {
  command.option('--json', 'print JSON').hook('preAction', (_program, action) => {
    if (action.opts()['json'] === true) program.setOptionValue('json', true);
  });
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

program.parseAsync().catch((thrown: unknown) => {
  const { code, message, nextStep } = asDockError(thrown);
  if (options().json) process.stdout.write(`${JSON.stringify({ error: { code, message, nextStep } })}\n`);
  process.stderr.write(`dockctl: ${message} [${code}]\nNow: ${nextStep}\n`);
  process.exitCode = code === 'control.agent-down' ? 2 : 1;
});
