import { Argument, type Command } from 'commander';
import { errorCatalogue, isErrorCode, type ErrorCode } from '../../protocol/error-catalogue.ts';
import { DockError } from '../../protocol/errors.ts';
import type { Clock } from '../../dock/clock.ts';
import { explainConfig } from '../config/explain.ts';
import { askForResult } from '../control/client.ts';
import { ConfigError, loadConfig } from '../config/load.ts';
import { loadProfiles } from '../config/profiles.ts';
import { issuerKeyOf } from '../enrolment/open-assignments.ts';
import { brokerCredentials } from '../report/broker-credentials.ts';
import type { CommandContext } from './agent-commands.ts';
import { table } from './output.ts';
import { errorText, nowWord } from './words/error-texts.ts';

/** Commands about rules and configuration; only `config reload` needs an agent. */
export function addOfflineCommands(
  program: Command,
  context: CommandContext & { configPath: () => string | undefined; clock: Clock },
): void {
  program
    .command('explain')
    .description('what an error code means and what to do now')
    .addArgument(new Argument('[code]', 'such as wire.timeout; without it all are listed'))
    .addHelpText('after', '\nExample:\n  dockctl explain enrolment.quota-full')
    .action((code: string | undefined) => {
      if (code === undefined) {
        const all = Object.entries(errorCatalogue).map(([name, entry]) => ({
          code: name as ErrorCode,
          ...entry,
        }));
        context.output().result(all, (entries, language) =>
          table(
            ['CODE', 'MEANING'],
            entries.map((entry) => [entry.code, errorText(entry.code, language).meaning]),
          ),
        );
        return;
      }
      if (!isErrorCode(code)) throw new DockError('control.bad-request', `there is no code ${code}`);
      context.output().result({ code, ...errorCatalogue[code] }, (_, language) => {
        const { meaning, nextStep } = errorText(code, language);
        return `${code}: ${meaning}.\n${nowWord[language]}: ${nextStep}`;
      });
    });

  const config = program.command('config').description('check, explain and reload the configuration');

  config
    .command('reload')
    .description('let the agent read its configuration again; a wrong one is refused and nothing changes')
    .addHelpText('after', '\nExample:\n  dockctl config check && dockctl config reload')
    .action(async () => {
      const answer = (await askForResult(context.socketPath(), 'reload-configuration', {})) as object;
      context
        .output()
        .result(answer, () => 'The agent starts over with its configuration. See dockctl status.');
    });
  config
    .command('check')
    .description('read the configuration and the files it names, and name every problem with its place')
    .argument('[file]', 'by default the file the agent would read')
    .action((file: string | undefined) => {
      try {
        const loaded = loadConfig(file ?? context.configPath(), process.env);
        loadProfiles(loaded.config);
        brokerCredentials(loaded.config);
        issuerKeyOf(loaded.config);
        const answer = { valid: true, file: loaded.file ?? null, problems: [] };
        context.output().result(answer, () => `${loaded.file ?? 'The embedded defaults'}: valid`);
      } catch (error) {
        if (!(error instanceof ConfigError) || !context.output().isJson) throw error;
        context.output().result({ valid: false, file: error.file, problems: error.problems }, () => '');
        process.exitCode = 1;
      }
    });
  config
    .command('explain')
    .description('every key with its unit, range, default and meaning')
    .argument('[prefix]', 'only keys that start so, such as clock')
    .addHelpText('after', '\nExample:\n  dockctl config explain bay[]')
    .action((prefix = '') => {
      const keys = explainConfig().filter(({ key }) => key.startsWith(prefix));
      if (keys.length === 0) throw new DockError('control.bad-request', `no key starts with ${prefix}`);
      context.output().result(keys, (shown) =>
        shown
          .map((key) => {
            const facts = [
              key.type,
              key.unit && `in ${key.unit}`,
              key.range,
              key.default === undefined ? 'no default' : `default ${JSON.stringify(key.default)}`,
            ];
            return `${key.key}\n    ${key.sentence}\n    ${facts.filter(Boolean).join('; ')}`;
          })
          .join('\n'),
      );
    });
}
