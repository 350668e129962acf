/** The monitor of the control room, on any machine with Node: the same as `dockctl fleet`. */
import { Command, CommanderError } from 'commander';
import { setUpMonitor } from '../agent/cli/fleet/fleet-commands.ts';
import { printableLines, standardOutput } from '../agent/cli/output.ts';
import { systemClock, systemRandom } from '../dock/host/system-clock.ts';
import { asDockError } from '../protocol/errors.ts';

const program = new Command('monitor')
  .description('All docking stations that report to a broker, live.')
  .option('--json', 'print JSON')
  .configureHelp({ showGlobalOptions: true })
  .exitOverride();
setUpMonitor(program, {
  output: () => standardOutput(process.argv.includes('--json'), 'en'),
  clock: systemClock,
  random: systemRandom,
});

program.parseAsync().catch((thrown: unknown) => {
  if (thrown instanceof CommanderError) {
    process.exitCode = thrown.exitCode;
    return;
  }
  const { code, message, nextStep } = asDockError(thrown);
  process.exitCode = 1;
  process.stderr.write(`monitor: ${printableLines(message)} [${code}]\nNow: ${nextStep}\n`);
});
