import { backup, DatabaseSync } from 'node:sqlite';
import type { Command } from 'commander';
import { DockError } from '../../protocol/errors.ts';
import type { Clock, RandomSource } from '../../dock/clock.ts';
import { databaseFileOf, vaultFolderOf } from '../config/paths.ts';
import { loadConfig } from '../config/load.ts';
import { askForResult } from '../control/client.ts';
import { isoTimes, type IsoTimes } from '../control/iso-times.ts';
import {
  backupFolderOf,
  checkCopy,
  DatabaseBackups,
  problemsOf,
  schemaVersionOf,
  type DatabaseBackup,
} from '../state/backups.ts';
import { migrations } from '../state/migrations.ts';
import { recoverDatabase, type Recovery } from '../state/open-station-database.ts';
import { lockState } from '../state/state-lock.ts';
import { nodeDisk } from '../vault/node-disk.ts';
import type { CommandContext } from './agent-commands.ts';
import { bytes, printable, table } from './output.ts';
import { userName } from './user-name.ts';

interface DatabaseContext extends CommandContext {
  readonly configPath: () => string | undefined;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** Commands about the database of the station: what is wrong with it, and how to get it back. */
export function addDatabaseCommands(program: Command, context: DatabaseContext): void {
  const database = program
    .command('database')
    .description('check, back up and restore what the station knows');
  const station = () => {
    const { config } = loadConfig(context.configPath(), process.env);
    const vaultFolder = vaultFolderOf(config);
    const folder = backupFolderOf(vaultFolder);
    const backups = new DatabaseBackups({ folder, keep: config.maintenance.backups, clock: context.clock });
    return { stateFolder: config.state.folder, file: databaseFileOf(config), vaultFolder, backups };
  };

  /** Only for whom the agent does not run: it holds the state folder. */
  const recover = async (choice: Parameters<typeof recoverDatabase>[2]): Promise<void> => {
    const { stateFolder, ...places } = station();
    const output = context.output();
    using _ = lockState(stateFolder);
    const parts = { ...places, ...context, disk: nodeDisk, signal: new AbortController().signal };
    const onProgress = (files: number): void => output.progress(`${files} files of the vault`);
    const reason = new DockError('state.lost', 'by hand, with dockctl');
    const recovery = await recoverDatabase({ ...parts, onProgress }, reason, choice);
    output.progress('');
    const { backup: used, ...rest } = recovery;
    output.result({ ...rest, ...(used && { backup: isoTimes(used) }) }, showRecovery);
  };

  database
    .command('check')
    .description('everything SQLite can find wrong with the database and with its backups')
    .action(async () => {
      const { file, backups } = station();
      const answer = {
        file,
        ...checkInPlace(file),
        newestSchema: migrations.length,
        backups: (await backups.list()).map((each) => ({
          ...isoTimes(each),
          problems: checkCopy(each.path).problems,
        })),
      };
      context.output().result(answer, (shown) =>
        [
          shown.problems.length === 0
            ? `${shown.file}: sound (schema ${shown.schemaVersion})`
            : `${shown.file}: damaged\n${shown.problems.map((line) => `  ${printable(line)}`).join('\n')}`,
          shown.backups.length === 0
            ? `No backups in ${backups.folder}`
            : table(
                ['BACKUP', 'TAKEN (UTC)', 'SCHEMA', 'SIZE', ''],
                shown.backups.map(({ path, takenAt, schemaVersion, sizeBytes, problems }) => [
                  path,
                  takenAt.slice(0, 19),
                  String(schemaVersion),
                  bytes(sizeBytes),
                  problems[0] ?? 'sound',
                ]),
                [2, 3],
              ),
        ].join('\n\n'),
      );
      if (answer.problems.length > 0) process.exitCode = 4;
    });

  database
    .command('backup')
    .description('back the database up now, beside the vault; the agent may run')
    .action(async () => {
      const { file, backups } = station();
      const source = openExisting(file);
      try {
        const taken = await backups.take(async (path) => void (await backup(source, path)));
        context.output().result(isoTimes(taken), ({ path, sizeBytes }) => `${path} (${bytes(sizeBytes)})`);
      } finally {
        source.close();
      }
    });

  database
    .command('restore')
    .description('put a backup in place and complete it from the vault; the agent must be stopped')
    .argument('[backup]', 'file of the backup; by default the newest good one')
    .action(async (path: string | undefined) => {
      const { backups } = station();
      const known = await backups.list();
      const chosen = path === undefined ? known[0] : known.find((each) => each.path.endsWith(path));
      if (!chosen) throw new DockError('state.no-backup', path ?? backups.folder);
      await recover(path === undefined ? {} : { only: chosen });
    });

  database
    .command('rebuild')
    .description('make a new database from the vault alone; the agent must be stopped')
    .action(() => recover({ from: 'vault' }));

  database
    .command('confirm')
    .description('after a restore: the register is right as it is, new cameras may be enrolled again')
    .addHelpText('after', '\nFirst compare: dockctl cameras. Correct with: dockctl enrol, dockctl retire.')
    .action(async () => {
      const answer = (await askForResult(context.socketPath(), 'confirm-register', { by: userName() })) as {
        wasInDoubt: boolean;
      };
      context
        .output()
        .result(answer, ({ wasInDoubt }) =>
          wasInDoubt
            ? 'The register is confirmed; cameras are enrolled again.'
            : 'The register was not in doubt.',
        );
    });
}

/** Read beside a running agent; not all of it can be checked where the folder may not be written. */
function checkInPlace(file: string): { schemaVersion: number; problems: string[] } {
  try {
    const db = openExisting(file);
    try {
      return { schemaVersion: schemaVersionOf(db), problems: problemsOf(db) };
    } finally {
      db.close();
    }
  } catch (error) {
    return { schemaVersion: 0, problems: [error instanceof Error ? error.message : String(error)] };
  }
}

function openExisting(file: string): DatabaseSync {
  try {
    return new DatabaseSync(file, { readOnly: true, timeout: 2000 });
  } catch (cause) {
    throw new DockError('state.lost', file, { cause });
  }
}

type RecoveryAnswer = Omit<Recovery, 'backup'> & { readonly backup?: IsoTimes<DatabaseBackup> };

function showRecovery(recovery: RecoveryAnswer): string {
  const {
    from,
    backup: used,
    keptAside,
    catalogued,
    added,
    missing,
    unreadable,
    unknown,
    examples,
  } = recovery;
  return [
    from === 'backup' && used
      ? `Restored from ${used.path} of ${used.takenAt}`
      : 'Rebuilt from the vault alone: enrolments, sessions and events of the past are gone.',
    `${catalogued} recordings are in the catalogue, ${added} of them taken in from the vault now`,
    ...(missing + unreadable + unknown > 0
      ? [
          `${missing} missing, ${unreadable} unreadable, ${unknown} unknown files: ${examples.map(printable).join(', ')}`,
        ]
      : []),
    ...(keptAside === undefined ? [] : [`The old database is kept as ${keptAside}`]),
    'New cameras are not enrolled until the register is confirmed: dockctl cameras, then dockctl database confirm.',
  ].join('\n');
}
