import { Argument, InvalidArgumentError, Option, type Command } from 'commander';
import { auditRecord, type AuditRecord } from '../../protocol/norm/audit-record.ts';
import type { NormItem } from '../../protocol/norm/editions.ts';
import { retireCauses, type RetireCause } from '../../protocol/norm/retire-causes.ts';
import { askForResult } from '../control/client.ts';
import type { ControlRequestName } from '../control/requests.ts';
import { ChainCheck, type AuditHead, type AuditLink } from '../enrolment/audit-chain.ts';
import type { CommandContext } from './agent-commands.ts';
import type { AuditAnswer, EnrolAnswer, ReplaceAnswer, RetireAnswer } from './answers.ts';
import { day, wholeNumber } from './arguments.ts';
import { auditCsv } from './audit-csv.ts';
import { printable, table } from './output.ts';
import { userName } from './user-name.ts';
import { errorText } from './words/error-texts.ts';
import type { Language } from './words/language.ts';
import { registerWords } from './words/register-words.ts';

interface AuditFlags {
  readonly camera?: string;
  readonly act?: AuditRecord['act'];
  readonly since?: string;
  readonly until?: string;
  readonly limit: number;
  readonly csv?: boolean;
}

interface ItemFlags {
  readonly computer?: boolean;
}

interface EnrolFlags extends ItemFlags {
  readonly reason?: string;
  readonly commissioned?: string;
}

interface RetireFlags extends ItemFlags {
  readonly note?: string;
}

const computerFlag = 'it is the computer of the department (item 2 of the norm)';

function itemOf({ computer }: ItemFlags): NormItem {
  return computer ? 'computer' : 'camera';
}

const pageSize = 1000;
const refused = 3;
const damaged = 4;

/** Who counts against the quota of the post, and the record of every act on that. */
export function addRegisterCommands(program: Command, context: CommandContext): void {
  const ask = async <T>(name: ControlRequestName, body: object = {}): Promise<T> =>
    (await askForResult(context.socketPath(), name, body)) as T;
  const commissioned = (): Option =>
    new Option('--commissioned <day>', 'when its service life began, YYYY-MM-DD; else today').argParser(day);

  program
    .command('enrol')
    .description('let a camera count against the quota of the post')
    .argument('<serial>', 'its serial number')
    .option('--computer', computerFlag)
    .option('--reason <text>', 'why, for the record')
    .addOption(commissioned())
    .addHelpText(
      'after',
      '\nExamples:\n  dockctl enrol BC-1006 --reason "delivery of 22 November"\n  dockctl enrol BC-0311 --commissioned 2023-04-01\n  dockctl enrol PC-0417 --computer',
    )
    .action(async (serialNumber: string, flags: EnrolFlags) => {
      const { reason, commissioned: commissionedOn } = flags;
      const answer = await ask<EnrolAnswer>('enrol', {
        item: itemOf(flags),
        serialNumber,
        by: userName(),
        reason,
        commissionedOn,
      });
      context.output().result(answer, showEnrolled);
      if (answer.kind === 'refused') process.exitCode = refused;
    });

  program
    .command('retire')
    .description('a camera no longer counts: lost, broken, too old, moved to another post')
    .argument('<serial>', 'its serial number')
    .addArgument(new Argument('<cause>', 'why').choices(retireCauses))
    .option('--computer', computerFlag)
    .option('--note <text>', 'for the record')
    .addHelpText('after', '\nExample:\n  dockctl retire BC-1003 broken --note "lens cracked, act no. 14"')
    .action(async (serialNumber: string, cause: RetireCause, { note, ...flags }: RetireFlags) => {
      const body = { item: itemOf(flags), serialNumber, by: userName(), cause, note };
      const answer = await ask<RetireAnswer>('retire', body);
      context.output().result(answer, ({ usage }, language) => {
        const words = registerWords[language];
        return `${words.retired({ camera: serialNumber })} ${words.places(usage)}`;
      });
    });

  program
    .command('replace')
    .description('a new camera takes the place of an old one, in one act: also where the quota is full')
    .argument('<old>', 'serial number of the camera that goes')
    .argument('<new>', 'serial number of the one that comes')
    .addArgument(new Argument('<cause>', 'why the old one goes').choices(retireCauses))
    .option('--computer', computerFlag)
    .option('--note <text>', 'on the old one, for the record')
    .option('--reason <text>', 'on the new one, for the record')
    .addOption(commissioned())
    .addHelpText('after', '\nExample:\n  dockctl replace BC-1003 BC-1050 end-of-service-life')
    .action(
      async (replaces: string, serialNumber: string, cause: RetireCause, flags: EnrolFlags & RetireFlags) => {
        const { note, reason, commissioned: commissionedOn } = flags;
        const body = {
          item: itemOf(flags),
          replaces,
          serialNumber,
          cause,
          note,
          reason,
          commissionedOn,
          by: userName(),
        };
        const answer = await ask<ReplaceAnswer>('replace', body);
        context.output().result(answer, showReplaced);
        if (answer.kind === 'refused') process.exitCode = refused;
      },
    );

  program
    .command('transfer')
    .description('a camera leaves this post and enters another of the same register, or neither')
    .argument('<serial>', 'serial number of the camera')
    .argument('<to>', 'department/post', place)
    .option('--note <text>', 'for the record')
    .addHelpText('after', '\nExample:\n  dockctl transfer BC-1003 almaty/khorgos --note "order 17"')
    .action(
      async (serialNumber: string, to: { department: string; post: string }, { note }: { note?: string }) => {
        const answer = await ask<EnrolAnswer>('transfer', { serialNumber, to, note, by: userName() });
        context.output().result(answer, (given, language) => {
          if (given.kind === 'refused') return showEnrolled(given, language);
          const words = registerWords[language];
          return `${words.transferred({ camera: given.serialNumber, to: `${to.department}/${to.post}` })} ${words.places(given.usage)}`;
        });
        if (answer.kind === 'refused') process.exitCode = refused;
      },
    );

  const page = (after: number): Promise<AuditAnswer> => ask('audit', { after, limit: pageSize });
  async function* links(from = 0): AsyncGenerator<AuditLink> {
    for (let after = from; ;) {
      const { records } = await page(after);
      yield* records;
      const last = records.at(-1);
      if (!last || records.length < pageSize) return;
      after = last.number;
    }
  }

  const audit = program
    .command('audit')
    .description('every act on the register: who, when, where, why, before and after')
    .option('--camera <serial>', 'only those of this camera')
    .addOption(new Option('--act <act>', 'only those of one kind').choices(auditRecord.shape.act.options))
    .option('--since <day>', 'from this day on (UTC), YYYY-MM-DD', day)
    .option('--until <day>', 'up to and with this day (UTC)', day)
    .option('--limit <count>', 'the newest so many', wholeNumber, 50)
    .option('--csv', 'all that match, as CSV (RFC 4180)')
    .addHelpText(
      'after',
      '\nExamples:\n  dockctl audit --camera BC-1003\n  dockctl audit --since 2027-01-01 --csv > audit-2027.csv\n  dockctl audit verify',
    )
    .action(async (flags: AuditFlags) => {
      const found: (AuditRecord & { readonly hash: string })[] = [];
      for await (const { record, hash } of links()) {
        if (record === null) continue;
        const read = { ...auditRecord.parse(JSON.parse(record)), hash };
        if (!matches(read, flags)) continue;
        found.push(read);
        if (!flags.csv && found.length > flags.limit) found.shift();
      }
      if (flags.csv) process.stdout.write(auditCsv(found));
      else context.output().result({ records: found }, showAudit);
    });

  audit
    .command('verify')
    .description('does every record follow from the one before it? Exit code 4 where one was changed')
    .option(
      '--kept <number:hash>',
      'also with a hash that was kept elsewhere, such as that of an event',
      keptHash,
    )
    .addHelpText(
      'after',
      '\nCentral monitoring has the hash of each record in its events, and the last one in the quota of the post.',
    )
    .action(async ({ kept }: { kept?: AuditHead }) => {
      const chain = new ChainCheck();
      let keptProblem = kept && `record ${kept.records} does not exist`;
      for await (const link of links()) {
        chain.accept(link);
        if (link.number === kept?.records)
          keptProblem =
            link.hash === kept.hash ? undefined : `record ${link.number} is another one than was kept`;
        if (link.number % pageSize === 0) context.output().progress(`${link.number}`);
      }
      context.output().progress('');
      const problem = chain.problem ?? keptProblem;
      const answer = {
        isWhole: problem === undefined,
        ...chain.head,
        ...(problem !== undefined && { problem }),
      };
      context.output().result(answer, ({ records, hash }, language) => {
        const words = registerWords[language];
        return problem === undefined ? words.whole({ records, hash }) : words.broken({ problem });
      });
      if (problem !== undefined) process.exitCode = damaged;
    });
}

function matches(record: AuditRecord, { camera, act, since = '', until }: AuditFlags): boolean {
  const { serialNumber, replaces, replacedBy } = record;
  if (camera !== undefined && ![serialNumber, replaces, replacedBy].includes(camera)) return false;
  const on = record.at.slice(0, 10);
  return (act === undefined || record.act === act) && on >= since && (until === undefined || on <= until);
}

function showEnrolled(answer: EnrolAnswer, language: Language): string {
  const words = registerWords[language];
  const camera = answer.serialNumber;
  if (answer.kind === 'refused') {
    const reason = language === 'en' ? answer.reason : errorText(answer.code, language).meaning;
    return `${words.refused({ camera, reason })}\n${words.places(answer.usage)}`;
  }
  const done = answer.isNew ? words.enrolled({ camera }) : words.enrolledBefore({ camera });
  return `${done} ${words.places(answer.usage)}`;
}

function showReplaced(answer: ReplaceAnswer, language: Language): string {
  if (answer.kind === 'refused' || !answer.isNew) return showEnrolled(answer, language);
  const words = registerWords[language];
  const { serialNumber: camera, replaces, usage } = answer;
  return `${words.replaced({ camera, replaces })} ${words.places(usage)}`;
}

function showAudit({ records }: { records: readonly AuditRecord[] }, language: Language): string {
  const words = registerWords[language];
  if (records.length === 0) return words.noRecords;
  const rows = records.map(({ number, at, act, serialNumber = '', by, reason, enrolled, quota }) => [
    String(number),
    at.slice(0, 19),
    words.acts[act],
    serialNumber,
    by,
    `${enrolled}/${quota}`,
    printable(reason).slice(0, 80),
  ]);
  return table(words.auditHead, rows, [0]);
}

function place(text: string): { department: string; post: string } {
  const [department = '', post = '', ...more] = text.split('/');
  if (department && post && more.length === 0) return { department, post };
  throw new InvalidArgumentError('name it as department/post');
}

function keptHash(text: string): AuditHead {
  const [, records, hash] = /^(\d{1,9}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (records !== undefined && hash !== undefined) return { records: Number(records), hash };
  throw new InvalidArgumentError('a number and a hash of 64 digits are needed, such as 214:b58d…');
}
