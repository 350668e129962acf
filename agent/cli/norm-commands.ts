import { readFileSync } from 'node:fs';
import { Argument, type Command } from 'commander';
import type { Clock } from '../../dock/clock.ts';
import { auditRecord } from '../../protocol/norm/audit-record.ts';
import { dayOf } from '../../protocol/norm/service-life.ts';
import { editionInForce, maxHeadcount, quotaFor } from '../../protocol/norm/quota.ts';
import { DockError } from '../../protocol/errors.ts';
import { askForResult } from '../control/client.ts';
import type { CommandContext } from './agent-commands.ts';
import type { AssignmentAnswer, AuditAnswer, InstallAnswer, QuotaAnswer } from './answers.ts';
import { day, wholeNumber } from './arguments.ts';
import { explainDecision, explainQuota } from './explain-norm.ts';
import type { QuotaUsage } from '../enrolment/register.ts';
import { printable, table } from './output.ts';
import { userName } from './user-name.ts';

/** The quota of the post, and who states the headcount that it follows from. */
interface NormFlags {
  readonly on?: string;
  readonly enrolled?: number;
  readonly record?: number;
}

export function addNormCommands(program: Command, context: CommandContext & { readonly clock: Clock }): void {
  program
    .command('norm')
    .description(
      'how many cameras the norm allows, and why: now, on another day, or in a decision of the audit',
    )
    .addArgument(
      new Argument('[headcount]', `workers of the post, 0 to ${maxHeadcount}`).argParser(wholeNumber),
    )
    .option('--on <day>', 'by the edition in force on this day, YYYY-MM-DD', day)
    .option('--enrolled <count>', 'with so many enrolled: may one more come?', wholeNumber)
    .option('--record <number>', 'of the audit: the decision that was taken then', wholeNumber)
    .addHelpText(
      'after',
      '\nExamples:\n  dockctl norm 400\n  dockctl norm 401 --enrolled 50 --json\n  dockctl norm --record 214 --lang kk',
    )
    .action(async (headcount: number | undefined, flags: NormFlags, command: Command) => {
      if (flags.record !== undefined) {
        const body = { after: flags.record - 1, limit: 1 };
        const { records } = (await askForResult(context.socketPath(), 'audit', body)) as AuditAnswer;
        const text = records[0]?.record;
        if (!text) throw new DockError('control.bad-request', `there is no record ${flags.record}`);
        return context.output().result(auditRecord.parse(JSON.parse(text)), explainDecision);
      }
      if (headcount === undefined) return command.error("error: missing required argument 'headcount'");
      const on = flags.on ?? dayOf(context.clock.now());
      const edition = editionInForce(on);
      if (!edition) throw new DockError('norm.unknown-edition', on);
      const quota = quotaFor(headcount, edition);
      const { enrolled } = flags;
      context.output().result({ ...quota, ...(enrolled !== undefined && { enrolled }) }, explainQuota);
    });

  program
    .command('quota')
    .description('the norm of the post, how much of it is used, and whom to retire where it is exceeded')
    .action(async () => {
      const answer = (await askForResult(context.socketPath(), 'quota', {})) as QuotaAnswer;
      context.output().result(answer, (quota) => [showQuota(quota), ...showPlan(quota.plan)].join('\n'));
    });

  const assignment = program
    .command('assignment')
    .description('the signed statement of the department how many workers the post has');
  assignment
    .command('show')
    .description('the one in force, and those before it')
    .action(async () => {
      const answer = (await askForResult(context.socketPath(), 'assignment', {})) as AssignmentAnswer;
      context.output().result(answer, showAssignment);
    });
  assignment
    .command('install')
    .description('put an assignment of the department into force; a refused one is exit code 3')
    .argument('<file>', 'the assignment as it was issued')
    .addHelpText('after', '\nExample:\n  dockctl assignment install kordai-8.jws')
    .action(async (file: string) => {
      const body = { assignment: contentOf(file), by: userName() };
      const answer = (await askForResult(context.socketPath(), 'install-assignment', body)) as InstallAnswer;
      context.output().result(answer, ({ installed, usage }) => {
        return `Assignment no. ${installed.number} is in force.\n\n${showQuota(usage)}`;
      });
    });
}

export function showQuota(usage: QuotaUsage): string {
  if (!usage.isHeadcountKnown) {
    return usage.headcountSource === 'assignment'
      ? 'Quota        0: no post assignment is installed (dockctl assignment install FILE)'
      : 'Quota        0: the headcount of the post is not configured ([post] headcount)';
  }
  return [
    `Quota        ${usage.enrolled} of ${usage.quota} cameras enrolled, ${usage.refused} refused (headcount ${usage.headcount}, row ${usage.row})`,
    `             ${usage.citation}`,
    `Headcount    ${showSource(usage)}`,
    ...(usage.copiedAt === undefined
      ? []
      : [
          `             the register does not answer: this is as of ${new Date(usage.copiedAt).toISOString().slice(0, 19)} UTC`,
        ]),
  ].join('\n');
}

function showSource({ headcount, assignment }: QuotaUsage): string {
  if (!assignment) return `${headcount}, unsigned: stated by the configuration`;
  const { number, issuer, validFrom, validUntil } = assignment;
  return `${headcount}, by assignment no. ${number} of ${printable(issuer)}, valid ${validFrom} to ${validUntil}`;
}

function showPlan({ surplus, retire }: QuotaAnswer['plan']): string[] {
  if (surplus === 0) return [];
  return [
    '',
    `${surplus} more than the norm allows. Nothing new is enrolled; the oldest to retire first (dockctl retire):`,
    table(
      ['CAMERA', 'ENROLLED (UTC)'],
      retire.map(({ serialNumber, enrolledAt }) => [serialNumber, enrolledAt.slice(0, 19)]),
    ),
  ];
}

function showAssignment({ hasIssuerKey, inForce, problems, history }: AssignmentAnswer): string {
  if (!hasIssuerKey) {
    return 'This station has no issuer key ([post] issuer_key_file): its headcount is unsigned, stated by the configuration.';
  }
  const lines = inForce
    ? [
        `Assignment   no. ${inForce.number} of ${printable(inForce.issuer)}: ${inForce.headcount} workers`,
        `Valid        ${inForce.validFrom} to ${inForce.validUntil}`,
      ]
    : ['No assignment is in force: nothing new is enrolled.'];
  lines.push(...problems.map(({ level, code, detail }) => `${level}: ${code}, ${printable(detail)}`));
  if (history.length > 0) {
    const rows = history.map(({ number, installedAt, installedBy }) => [
      String(number),
      installedAt.slice(0, 19),
      installedBy,
    ]);
    lines.push('', table(['NUMBER', 'INSTALLED (UTC)', 'BY'], rows, [0]));
  }
  return lines.join('\n');
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new DockError('control.bad-request', cause instanceof Error ? cause.message : file, { cause });
  }
}
