import { readFileSync } from 'node:fs';
import { InvalidArgumentError, type Command } from 'commander';
import type { Client } from 'pg';
import { DockError } from '../../protocol/errors.ts';
import { topicLevel } from '../../protocol/mqtt/topics.ts';
import type { Clock } from '../../dock/clock.ts';
import type { RegisterPost } from '../enrolment/register-posts.ts';
import { wholeNumber } from './arguments.ts';
import { printable, table, type Output } from './output.ts';

interface AdminContext {
  readonly output: () => Output;
  readonly clock: Clock;
}

interface LoginFlags {
  readonly url: string;
  readonly passwordFile?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

interface PostFlags extends LoginFlags {
  readonly headcount?: number;
  readonly assignment?: string;
  readonly issuerKey?: string;
}

interface Place {
  readonly department: string;
  readonly post: string;
}

/** The side of the department: the database that the stations of its posts share. No agent is needed. */
export function addRegisterAdminCommands(program: Command, context: AdminContext): void {
  const register = program
    .command('register')
    .description(
      'the shared register in PostgreSQL: set it up, enter posts and stations (for the department)',
    )
    .requiredOption('--url <url>', 'postgres://ROLE@HOST[:PORT][,HOST...]/DATABASE, as the role that owns it')
    .option('--password-file <file>', 'its password; the first line of the file')
    .option('--ca <file>', 'certificates of the authority of the server, PEM; needed off this machine')
    .option('--cert <file>', 'own certificate, PEM; with --key')
    .option('--key <file>', 'its key, PEM')
    .addHelpText(
      'after',
      `
As the superuser of the server, once:
  CREATE ROLE register_owner LOGIN; CREATE ROLE dock_station NOLOGIN; CREATE DATABASE register OWNER register_owner;
and for every station:
  CREATE ROLE kordai_1 LOGIN PASSWORD '…' IN ROLE dock_station;

Examples:
  dockctl register --url postgres://register_owner@db.example/register --ca ca.pem prepare
  dockctl register --url … post zhambyl/kordai --assignment kordai-8.jws --issuer-key department.pub
  dockctl register --url … station zhambyl/kordai/kordai-1 kordai_1
  dockctl register --url … show`,
    );

  /** Runs as the owner. Errors: `enrolment.register-unreachable`, `register.refused`. */
  const asOwner = async <T>(command: Command, work: (client: Client) => Promise<T>): Promise<T> => {
    const flags = command.optsWithGlobals<LoginFlags>();
    // Loaded when they are needed: no other command pays for the client.
    const { registerLogin } = await import('../enrolment/register-login.ts');
    const { connectTo } = await import('../enrolment/register-server.ts');
    const login = registerLogin(flags.url, {
      password_file: flags.passwordFile,
      ca_file: flags.ca,
      cert_file: flags.cert,
      key_file: flags.key,
    });
    const client = await connectTo(login).catch((cause: unknown) => {
      throw new DockError('enrolment.register-unreachable', messageOf(cause), { cause });
    });
    try {
      return await work(client);
    } catch (cause) {
      if (cause instanceof DockError) throw cause;
      throw new DockError('register.refused', messageOf(cause), { cause });
    } finally {
      await client.end().catch(() => undefined);
    }
  };

  register
    .command('prepare')
    .description('make the tables and functions, or bring them to this version; run again it changes nothing')
    .action(async (_: unknown, command: Command) => {
      const { migrateRegister } = await import('../enrolment/register-migrations.ts');
      const applied = await asOwner(command, (client) => migrateRegister(client));
      context
        .output()
        .result({ applied }, () =>
          applied.length === 0 ? 'The register is up to date.' : `Done: ${applied.join(', ')}`,
        );
    });

  register
    .command('post')
    .description('enter a post, or state its headcount anew')
    .argument('<post>', 'department/post', placeOf)
    .option('--assignment <file>', 'the signed post assignment that states the headcount; with --issuer-key')
    .option('--issuer-key <file>', 'public key of whoever issues assignments')
    .option('--headcount <count>', 'the headcount, where nobody signs it', wholeNumber)
    .action(async (place: Place, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<PostFlags>();
      const stated = await statedHeadcount(place, flags, context.clock);
      const { statePost } = await import('../enrolment/register-posts.ts');
      await asOwner(command, (client) =>
        statePost(client, { department: place.department, name: place.post, ...stated }),
      );
      context.output().result({ ...place, ...stated }, ({ headcount }) => {
        return `${place.department}/${place.post}: headcount ${headcount}`;
      });
    });

  register
    .command('station')
    .description('let a role of the server act as a station of a post')
    .argument('<station>', 'department/post/station', stationOf)
    .argument('<role>', 'that it logs in with; a member of dock_station')
    .action(async (station: Place & { name: string }, role: string, _: unknown, command: Command) => {
      const { stateStation, stationGroup } = await import('../enrolment/register-posts.ts');
      await asOwner(command, async (client) => {
        const { rows } = await client.query(
          "SELECT FROM pg_roles WHERE rolname = $1 AND pg_has_role(oid, $2, 'member')",
          [role, stationGroup],
        );
        if (rows.length === 0)
          throw new DockError('register.refused', `${role} is no role that is a member of ${stationGroup}`);
        await stateStation(client, { ...station, role });
      });
      const { department, post, name } = station;
      context.output().result({ ...station, role }, () => `${department}/${post}/${name} logs in as ${role}`);
    });

  register
    .command('show')
    .description('all posts with their headcount, their cameras and their stations')
    .action(async (_: unknown, command: Command) => {
      const { registerPosts } = await import('../enrolment/register-posts.ts');
      const posts = await asOwner(command, (client) => registerPosts(client, context.clock.now()));
      context.output().result({ posts }, showPosts);
    });
}

async function statedHeadcount(
  place: Place,
  { assignment: file, issuerKey, headcount }: PostFlags,
  clock: Clock,
): Promise<{ headcount: number; assignmentNumber?: number }> {
  if (
    (file === undefined) === (headcount === undefined) ||
    (file === undefined) !== (issuerKey === undefined)
  ) {
    throw new DockError('control.bad-request', 'name --assignment with --issuer-key, or --headcount');
  }
  if (headcount !== undefined) return { headcount };
  const { readIssuerKey, verifyAssignment } = await import('../enrolment/verify-assignment.ts');
  const key = readIssuerKey(contentOf(issuerKey));
  const jws = contentOf(file).toString('utf8').trim();
  const assignment = await verifyAssignment(jws, { issuerKey: key, place });
  const { validFrom, validUntil } = assignment;
  if (clock.now() >= Date.parse(validUntil)) throw new DockError('assignment.expired', validUntil);
  if (clock.now() < Date.parse(validFrom)) throw new DockError('assignment.not-yet-valid', validFrom);
  return { headcount: assignment.headcount, assignmentNumber: assignment.number };
}

function showPosts({ posts }: { posts: readonly RegisterPost[] }): string {
  if (posts.length === 0) return 'No post was entered.';
  const rows = posts.map(({ department, post, headcount, assignmentNumber, enrolled, quota, stations }) => [
    `${department}/${post}`,
    headcount === null ? 'not stated' : String(headcount),
    assignmentNumber === null ? 'unsigned' : `no. ${assignmentNumber}`,
    `${enrolled}/${quota}`,
    stations.map(({ name, role }) => printable(`${name} (${role})`)).join(', '),
  ]);
  return table(['POST', 'HEADCOUNT', 'ASSIGNMENT', 'ENROLLED', 'STATIONS'], rows);
}

function placeOf(text: string): Place {
  const [department = '', post = '', ...more] = levelsOf(text);
  if (post === '' || more.length > 0) throw new InvalidArgumentError('department/post is needed');
  return { department, post };
}

function stationOf(text: string): Place & { name: string } {
  const [department = '', post = '', name = '', ...more] = levelsOf(text);
  if (name === '' || more.length > 0) throw new InvalidArgumentError('department/post/station is needed');
  return { department, post, name };
}

function levelsOf(text: string): string[] {
  const levels = text.split('/');
  if (levels.every((level) => topicLevel.test(level))) return levels;
  throw new InvalidArgumentError('names as in the topics of its stations are needed');
}

function contentOf(file: string | undefined): Buffer {
  try {
    return readFileSync(file ?? '');
  } catch (cause) {
    throw new DockError('control.bad-request', messageOf(cause), { cause });
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
