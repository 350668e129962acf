import { readFileSync } from 'node:fs';
import type { Command, Option } from 'commander';

interface Facts {
  readonly version: string;
  readonly date: string;
}

/** dockctl(1), from the commands and options that are there. */
export function dockctlManPage(program: Command, facts: Facts): string {
  return [
    heading('DOCKCTL', '1', facts),
    `.SH NAME\ndockctl \\- ${plain(lowerFirst(program.description()))}`,
    '.SH SYNOPSIS\n.B dockctl\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]',
    `.SH OPTIONS\n${options(program.options)}`,
    `.SH COMMANDS\n${commandsOf(program, '').join('\n')}`,
    `.SH EXIT STATUS\n0 done, 1 failed, 2 no agent, 3 refused by a rule, 4 recordings damaged or missing.`,
    '.SH SEE ALSO\n.BR dock\\-agent (8)',
    '',
  ].join('\n');
}

/** dock-agent(8). What is said of files and of the service is checked by the test of the package. */
export function agentManPage(facts: Facts): string {
  return [
    heading('DOCK-AGENT', '8', facts),
    readFileSync(new URL('dock-agent.8', import.meta.url), 'utf8'),
  ].join('\n');
}

function heading(name: string, section: string, { version, date }: Facts): string {
  return `.TH ${plain(name)} ${section} ${date} "docking\\-station ${version}"`;
}

function commandsOf(parent: Command, path: string): string[] {
  const help = parent.createHelp();
  return help
    .visibleCommands(parent)
    .filter((command) => command.name() !== 'help')
    .flatMap((command) => {
      const name = `${path} ${command.name()}`.trim();
      const wanted = command.registeredArguments.map((argument) =>
        argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
      );
      const shown = command.options.filter(({ hidden }) => !hidden);
      const own = [
        `.SS ${plain([name, ...wanted].join(' '))}`,
        `${plain(upperFirst(command.description()))}.`,
        ...(shown.length > 0 ? [options(shown)] : []),
      ];
      return [own.join('\n'), ...commandsOf(command, name)];
    });
}

function options(list: readonly Option[]): string {
  return list
    .map(({ flags, description, defaultValue }) => {
      const otherwise = defaultValue === undefined ? '' : ` (default ${String(defaultValue)})`;
      return `.TP\n.B ${plain(flags)}\n${plain(upperFirst(description))}${plain(otherwise)}.`;
    })
    .join('\n');
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, '');
}

/** Text for roff: backslashes, dashes that are dashes, and no line that begins with a control character. */
function plain(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}
