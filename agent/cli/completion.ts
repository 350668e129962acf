import { Argument, type Command } from 'commander';

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript };
export type Shell = keyof typeof scripts;
export const shells = Object.keys(scripts) as Shell[];

/** Adds `completion`; what it prints is made from the commands that are there. */
export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print what completes dockctl in a shell')
    .addArgument(new Argument('<shell>', 'which').choices(shells))
    .addHelpText('after', '\nExample:\n  source <(dockctl completion bash)')
    .action((shell: Shell) => void process.stdout.write(completionScript(program, shell)));
}

export function completionScript(program: Command, shell: Shell): string {
  return scripts[shell](placesOf(program));
}

/** Where a word may be completed: behind these commands, by these words. */
interface Place {
  /** Such as `bays learn`; empty behind dockctl itself. */
  readonly path: string;
  readonly words: readonly { readonly word: string; readonly help: string }[];
}

function placesOf(program: Command): Place[] {
  const places: Place[] = [];
  const add = (command: Command, path: string): void => {
    const help = command.createHelp();
    const commands = help.visibleCommands(command);
    const options = [...command.options, ...(command === program ? [] : program.options)];
    const words = [
      ...commands.map((one) => ({ word: one.name(), help: one.description() })),
      ...command.registeredArguments.flatMap(({ argChoices = [], description }) =>
        argChoices.map((word) => ({ word, help: description })),
      ),
      ...options
        .filter(({ hidden }) => !hidden)
        .map(({ long, description }) => ({ word: long ?? '', help: description })),
      { word: '--help', help: 'what this does, with examples' },
    ];
    places.push({ path, words });
    for (const one of commands) {
      if (one.name() !== 'help') add(one, `${path} ${one.name()}`.trim());
    }
  };
  add(program, '');
  return places;
}

/** Follows the words typed so far down the commands, in the shells of the Bourne family. */
function walk(places: readonly Place[], words: string): string {
  const paths = places.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`);
  return `  local place='' word
  for word in ${words}; do
    case "\${place:+$place }$word" in
      ${paths.join(' | ')}) place="\${place:+$place }$word" ;;
    esac
  done`;
}

function bashScript(places: readonly Place[]): string {
  const cases = places.map(
    ({ path, words }) => `    '${path}') words='${words.map(({ word }) => word).join(' ')}' ;;`,
  );
  return `# bash completion of dockctl
_dockctl() {
  local words
${walk(places, '"${COMP_WORDS[@]:1:COMP_CWORD-1}"')}
  case "$place" in
${cases.join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _dockctl dockctl
`;
}

function zshScript(places: readonly Place[]): string {
  const cases = places.map(({ path, words }) => {
    const told = words.map(({ word, help }) => quoted(`${word}:${help.replaceAll(':', '\\:')}`));
    return `    '${path}') described=(\n      ${told.join('\n      ')}\n    ) ;;`;
  });
  return `#compdef dockctl
# zsh completion of dockctl
_dockctl() {
  local -a described
${walk(places, '"${words[@]:1:CURRENT-2}"')}
  case "$place" in
${cases.join('\n')}
  esac
  _describe 'dockctl' described || _files
}
if [ "\${funcstack[1]}" = _dockctl ]; then _dockctl "$@"; else compdef _dockctl dockctl; fi
`;
}

function fishScript(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, words }) =>
    words.map(({ word, help }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${quoted(word)}`;
      return `complete -c dockctl -n ${quoted(`__dockctl_is_at '${path}'`)} ${what} -d ${quoted(help)}`;
    }),
  );
  const paths = places.map(({ path }) => `'${path}'`).join(' ');
  return `# fish completion of dockctl
function __dockctl_is_at
    set -l place ''
    for word in (commandline -opc)[2..]
        set -l longer (string trim "$place $word")
        contains -- $longer ${paths}; and set place $longer
    end
    test "$place" = "$argv[1]"
end
${lines.join('\n')}
`;
}

/** A word of all three shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
