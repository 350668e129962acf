import { Command, Option } from 'commander';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { loadConfig } from '../config/load.ts';
import { socketPathOf } from '../config/paths.ts';
import { version } from '../version.ts';
import { addAgentCommands } from './agent-commands.ts';
import { addBayCommands } from './bay-commands.ts';
import { addCompletion } from './completion.ts';
import { addDatabaseCommands } from './database-commands.ts';
import { addFleetCommands } from './fleet/fleet-commands.ts';
import { addFlightCommands } from './flight-commands.ts';
import { addHardwareCommands } from './hardware-commands.ts';
import { addHealthCommand } from './health-command.ts';
import { addNormCommands } from './norm-commands.ts';
import { addOfflineCommands } from './offline-commands.ts';
import { addRegisterAdminCommands } from './register-admin-commands.ts';
import { addRegisterCommands } from './register-commands.ts';
import { standardOutput, type Output } from './output.ts';
import { languageOf, languages, type Language } from './words/language.ts';

interface GlobalOptions {
  json?: boolean;
  lang?: Language;
  config?: string;
  socket?: string;
}

/** Every command of dockctl, its help and its output. Completions and the man page are made from it. */
export function dockctlProgram(): { program: Command; output: () => Output } {
  const program = new Command('dockctl')
    .description('Looks after the docking station of this post.')
    .version(version)
    .option('--json', 'print JSON, never translated')
    .addOption(new Option('--lang <language>', 'by default that of the environment').choices(languages))
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
  dockctl probe                      what is attached, and what it is taken for
  dockctl fleet                      how old the cameras are, and when to replace them
  dockctl fleet --broker mqtt://host all stations that report to a broker

Exit codes: 0 done, 1 failed, 2 no agent, 3 refused by a rule, 4 recordings or database damaged or missing,
5 the health of the station is critical, 6 events of the fleet are missing`,
    );

  const options = (): GlobalOptions => program.opts<GlobalOptions>();
  const output = (): Output =>
    // A wrong usage may end the parsing before the option is seen.
    standardOutput(
      options().json === true || process.argv.includes('--json'),
      options().lang ?? languageOf(process.env),
    );
  const socketPath = (): string =>
    options().socket ?? socketPathOf(loadConfig(options().config, process.env).config);
  const configPath = (): string | undefined => options().config;

  addAgentCommands(program, { output, socketPath });
  addBayCommands(program, { output, socketPath });
  addRegisterCommands(program, { output, socketPath });
  addRegisterAdminCommands(program, { output, clock: systemClock });
  addNormCommands(program, { output, socketPath, clock: systemClock });
  addFlightCommands(program, { output, socketPath });
  addHealthCommand(program, { output, socketPath });
  addHardwareCommands(program, { output, socketPath, configPath, clock: systemClock });
  addDatabaseCommands(program, { output, socketPath, configPath, clock: systemClock, random: systemRandom });
  addOfflineCommands(program, { output, socketPath, configPath, clock: systemClock });
  addFleetCommands(program, { output, socketPath, clock: systemClock, random: systemRandom });
  addCompletion(program);
  return { program, output };
}
