#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { asDockError, DockError } from '../../protocol/errors.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { socketPathOf } from '../config/paths.ts';
import { loadConfig } from '../config/load.ts';
import { version } from '../version.ts';
import { addAgentCommands } from './agent-commands.ts';
import { addOfflineCommands } from './offline-commands.ts';
import { printableLines, standardOutput } from './output.ts';

const program = new Command('dockctl')
  .description('Looks after the docking station of this post.')
  .version(version)
  .option('--json', 'print JSON, never translated')
  .option('--config <file>', 'configuration of the agent, to find its socket')
  .option('--socket <path>', 'control socket of the agent')
  .configureHelp({ showGlobalOptions: true })
  .exitOverride()
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
const output = (): ReturnType<typeof standardOutput> =>
  // A wrong usage may end the parsing before the option is seen.
  standardOutput(options().json === true || process.argv.includes('--json'));

addAgentCommands(program, {
  output,
  socketPath: () => options().socket ?? socketPathOf(loadConfig(options().config, process.env).config),
});
addOfflineCommands(program, { output, clock: systemClock, configPath: () => options().config });

// Whoever reads may have seen enough, such as head.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

program.parseAsync().catch((thrown: unknown) => {
  const isUsage = thrown instanceof CommanderError;
  if (isUsage && thrown.exitCode === 0) return;
  const { code, message, nextStep } = isUsage
    ? new DockError('control.bad-request', thrown.message.replace(/^error: /, ''))
    : asDockError(thrown);
  process.exitCode = code === 'control.agent-down' ? 2 : 1;
  if (output().isJson) output().item({ error: { code, message, nextStep } }, () => '');
  // Commander has explained a wrong usage already.
  if (!isUsage) process.stderr.write(`dockctl: ${printableLines(message)} [${code}]\nNow: ${nextStep}\n`);
});
