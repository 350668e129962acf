import { stripVTControlCharacters, styleText } from 'node:util';
import { offset, printable, table } from '../output.ts';
import { stationStates, type FleetSnapshot, type StationLine } from './fleet-snapshot.ts';

export interface FleetTextOptions {
  /** First line: what is being watched, and whether it answers. */
  readonly title: string;
  /** No more lines than this; what is left out is said. */
  readonly maxLines?: number;
  /** No longer lines than this. */
  readonly maxColumns?: number;
}

/** The table of the control room: alarms first, then the worst stations. */
export function fleetText(snapshot: FleetSnapshot, options: FleetTextOptions): string {
  const { title, maxLines = Infinity, maxColumns = Infinity } = options;
  const lines = [title, ...summary(snapshot)];
  const parts = sections(snapshot).filter(({ rows }) => rows.length > 0);
  // A blank, a title and a head for each part; the rest is shared, and what one does not need is left to those below.
  let free = maxLines - lines.length - parts.length * 3;
  for (const [index, part] of parts.entries()) {
    const { name, rows } = part;
    const share = Math.max(1, Math.floor(free / (parts.length - index)));
    const shown = rows.length <= share ? rows.length : Math.max(1, share - 1);
    const left = rows.length - shown;
    lines.push('', styleText('bold', name), ...tableWithin(maxColumns, part, rows.first(shown)));
    if (left > 0) lines.push(styleText('dim', `… and ${left} more`));
    free -= shown + Number(left > 0);
  }
  return lines
    .slice(0, maxLines)
    .map((line) => fit(line, maxColumns))
    .join('\n');
}

/** Brokers grant a subscription and then send nothing of what the access list forbids. */
const nothing = 'none heard yet; does the access list of the broker let this user read dock/v1/#?';

function summary({ totals, messages }: FleetSnapshot): string[] {
  const { departments, posts, stations, states, cameras, camerasDocked } = totals;
  const { criticalAlarms, warningAlarms, missingEventRanges, onlyStatus } = totals;
  const shown = stationStates
    .filter((state) => states[state] > 0)
    .map((state) => coloured(state, `${states[state]} ${state}`));
  const refused = Object.entries(messages.rejected).filter(([, count]) => count > 0);
  return [
    `${many(departments, 'department')}, ${many(posts, 'post')}, ${many(stations, 'station')}: ${shown.join(', ') || nothing}`,
    `${many(cameras, 'camera')}, ${camerasDocked} docked; ${many(criticalAlarms, 'critical alarm')}, ${many(warningAlarms, 'warning')}`,
    ...(missingEventRanges > 0
      ? [
          styleText(
            'red',
            `Events are missing in ${many(missingEventRanges, 'place')}; dockctl fleet check tells which.`,
          ),
        ]
      : []),
    ...(onlyStatus > 0
      ? [
          styleText(
            'red',
            `Of ${many(onlyStatus, 'station')} only the status came: the broker drops messages. Mosquitto needs max_queued_messages 0.`,
          ),
        ]
      : []),
    ...(refused.length > 0
      ? [`Messages not taken: ${refused.map(([why, count]) => `${count} ${why}`).join(', ')}`]
      : []),
  ];
}

interface Section {
  readonly name: string;
  readonly head: readonly string[];
  readonly rows: Rows;
  /** Columns of numbers. */
  readonly right: readonly string[];
  /** Columns that a narrow terminal goes without, the least needed first. */
  readonly spare: readonly string[];
}

function tableWithin(
  maxColumns: number,
  { head, right, spare }: Pick<Section, 'head' | 'right' | 'spare'>,
  rows: readonly string[][],
): string[] {
  const columns = right.map((name) => head.indexOf(name)).filter((at) => at >= 0);
  const lines = table(head, rows, columns).split('\n');
  const [least, ...others] = spare;
  if (least === undefined || lines.every((line) => stripVTControlCharacters(line).length <= maxColumns))
    return lines;
  const at = head.indexOf(least);
  const narrower = { head: head.toSpliced(at, 1), right, spare: others };
  return tableWithin(
    maxColumns,
    narrower,
    rows.map((row) => row.toSpliced(at, 1)),
  );
}

/** Written out only as far as they are shown: a table of thousands is drawn every second. */
interface Rows {
  readonly length: number;
  first(count: number): string[][];
}

function rowsOf<T>(all: readonly T[], row: (one: T) => string[]): Rows {
  return { length: all.length, first: (count) => all.slice(0, count).map(row) };
}

function sections(snapshot: FleetSnapshot): Section[] {
  const { alarms, stations, posts, overdueCameras, clocks, replacements, at } = snapshot;
  const now = Date.parse(at);
  return [
    {
      name: 'ALARMS',
      head: ['LEVEL', 'STATION', 'CODE', 'SINCE', 'WHAT'],
      rows: rowsOf(alarms, (alarm) => [
        alarm.level,
        path(alarm),
        alarm.code,
        ago(alarm.since, now),
        [alarm.meaning, alarm.detail].filter((text) => text !== '').join(': '),
      ]),
      right: [],
      spare: [],
    },
    {
      name: 'STATIONS',
      head: [
        'STATION',
        'STATE',
        'HEARD',
        'HEALTH',
        'BAYS',
        'CAMERAS',
        'ALARMS',
        'WAITING',
        'VAULT FULL',
        'EVENT',
      ],
      rows: rowsOf(stations, (line) => stationRow(line, now)),
      right: ['CAMERAS', 'ALARMS', 'WAITING', 'EVENT'],
      spare: ['EVENT', 'CAMERAS', 'VAULT FULL', 'WAITING', 'ALARMS', 'BAYS'],
    },
    {
      name: 'QUOTAS',
      head: ['POST', 'ENROLLED', 'QUOTA', 'HEADCOUNT', 'REFUSED', 'BY'],
      rows: rowsOf(posts, (post) => [
        `${post.department}/${post.post}`,
        `${post.enrolled}${post.isOver ? ' !' : ''}`,
        String(post.quota),
        String(post.headcount),
        String(post.refused),
        `${post.headcountSource}; ${post.citation}`,
      ]),
      right: ['ENROLLED', 'QUOTA', 'HEADCOUNT', 'REFUSED'],
      spare: ['HEADCOUNT'],
    },
    {
      name: 'CAMERAS OVERDUE FOR DOCKING',
      head: ['CAMERA', 'MODEL', 'LAST DOCKED', 'AT'],
      rows: rowsOf(overdueCameras, (camera) => [
        camera.serialNumber,
        camera.model,
        ago(camera.lastDockedAt, now),
        path(camera),
      ]),
      right: [],
      spare: ['MODEL'],
    },
    {
      name: 'CLOCKS OUT OF BOUNDS',
      head: ['STATION', 'CLOCK OF', 'OFFSET', 'WHY'],
      rows: rowsOf(clocks, (clock) => [
        path(clock),
        clock.serialNumber ?? 'the station',
        clock.offsetMs === null ? '-' : offset(clock.offsetMs, clock.boundMs ?? 0),
        clock.why === 'off' ? 'too far off' : 'the station does not trust it',
      ]),
      right: [],
      spare: [],
    },
    {
      name: 'CAMERAS TO REPLACE',
      head: ['YEAR', 'CAMERAS'],
      rows: rowsOf(replacements, ({ year, cameras }) => [String(year), String(cameras)]),
      right: ['CAMERAS'],
      spare: [],
    },
  ];
}

function stationRow(line: StationLine, now: number): string[] {
  const { state, heardAt, level, codes, bays, cameras, alarms, waitingEvents } = line;
  const phases = Object.entries(bays).map(([phase, count]) => `${count} ${phase}`);
  return [
    path(line),
    state,
    heardAt === null ? '-' : ago(heardAt, now),
    [level ?? '-', codes].filter((text) => text !== '').join(' '),
    phases.join(', ') || '-',
    String(cameras),
    String(alarms),
    waitingEvents === null ? '-' : String(waitingEvents),
    line.vaultSecondsUntilFull === null ? '-' : span(line.vaultSecondsUntilFull),
    `${line.lastEventSeq ?? '-'}${line.missingEventRanges > 0 ? ' !' : ''}`,
  ];
}

function many(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function path({ department, post, station }: { department: string; post: string; station: string }): string {
  return `${department}/${post}/${station}`;
}

function coloured(state: (typeof stationStates)[number], text: string): string {
  if (state === 'online') return styleText('green', text);
  return styleText(state === 'lost' || state === 'silent' ? 'red' : 'yellow', text);
}

function ago(at: string, now: number): string {
  const seconds = Math.round((now - Date.parse(at)) / 1000);
  return seconds < 0 ? 'in the future' : `${span(seconds)} ago`;
}

function span(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** Terminals wrap longer lines, and the table would crawl away. */
function fit(line: string, columns: number): string {
  const plain = stripVTControlCharacters(line);
  return plain.length <= columns ? line : `${printable(plain.slice(0, columns - 1))}…`;
}
