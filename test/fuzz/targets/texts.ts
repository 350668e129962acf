import { isDeepStrictEqual } from 'node:util';
import { join, relative } from 'node:path';
import {
  parseChronyTracking,
  parseTimesync,
  type StationClockState,
} from '../../../agent/clock/station-clock.ts';
import { withLearnedBays } from '../../../agent/config/bay-entries.ts';
import { ConfigError, parseConfig, parseToml } from '../../../agent/config/load.ts';
import { controlLine, controlRequests } from '../../../agent/control/requests.ts';
import { safeName } from '../../../agent/vault/safe-name.ts';
import { builtInProfiles } from '../../../dock/camera/built-in-profiles.ts';
import { cameraProfileSchema } from '../../../dock/camera/profile.ts';
import { isRecordingOf } from '../../../dock/camera/recognise.ts';
import { parseSerialNumber } from '../../../dock/camera/serial-number.ts';
import { nameAsText, namesOfPath } from '../../../dock/camera/storage-path.ts';
import { eventEnvelope, eventTypes } from '../../../protocol/mqtt/events.ts';
import { bayMessage, cameraMessage, quotaMessage, statusMessage } from '../../../protocol/mqtt/documents.ts';
import { stationTopics, topicLevel } from '../../../protocol/mqtt/topics.ts';
import { bytesOfText, chosen, expectThat, orRefused, utf8, type FuzzTarget } from '../target.ts';

const station = `[station]
department = "almaty"
post = "kordai"
name = "station-1"
[post]
headcount = 120
enrolment = "automatic"
[vault]
removal = "when-verified"
[[bay]]
number = 1
usb_port = "1-1.2" # left
[[bay]]
number = 2
serial = { path = "/dev/serial/by-path/a", baud_rate = 921600 }
[clock]
station_clock = "trusted"
`;
const profile = `name = "acme-x2"
modes = [
  { match = { vendor_id = "2207", product_id = "0011" }, control = "smp-hid", unlock = "mass-storage" },
  { match = { vendor_id = "2207", interfaces = ["08/06/50"] }, recordings = "mass-storage" },
]
recordings = ["DCIM/**/*.{mp4,jpg}"]
clock_zone_minutes = 300
`;
const tomlWords = [
  '[[',
  ']]',
  '"""',
  "'''",
  '\\u0000',
  '__proto__',
  'constructor',
  'inf',
  'nan',
  '1e400',
  '{',
  '}',
].concat([
  'usb_port = "1-1"',
  '[[bay]]\n',
  'number = 1\n',
  '\r\n',
  '1979-05-27',
  '0x',
  '\ufeff',
  'a.b.c = 1\n',
]);

const [builtIn] = builtInProfiles({ generic: true });
const isRecording = builtIn && isRecordingOf(builtIn);

/** Every form in which a line of JSON comes in or goes out. */
const schemas = [
  ...Object.values(controlRequests),
  controlLine,
  eventEnvelope,
  statusMessage,
  bayMessage,
  cameraMessage,
  quotaMessage,
  ...Object.values(eventTypes).map(({ data }) => data),
];

const chrony =
  'C0A80101,192.168.1.1,3,1700000000.1,0.000012,0.00001,0.0001,-1.2,0.001,0.02,0.0012,0.0003,64.2,Normal\n';
const timesync =
  'ServerName=ntp\nNTPMessage={ Leap=0, Version=4, Mode=4, Stratum=2, Precision=-24, RootDelay=1.5ms, ' +
  'RootDispersion=900us, Reference=C0A80101, Ignored=no, PacketCount=5, Jitter=2.1ms }\nFrequency=1\n';

export const textTargets: readonly FuzzTarget[] = [
  {
    name: 'config-toml',
    story: 'a configuration: valid, or a ConfigError whose problems have lines of the file',
    seeds: bytesOfText(station, '', '[broker]\nurl = "mqtts://x:8883"\nusername = "a"\n'),
    words: tomlWords,
    run(input) {
      const text = utf8(input);
      expectProblemsInside(text, () => parseConfig(text, 'f'));
    },
  },
  {
    name: 'config-bays',
    story: 'learned ports put into a configuration: refused, or valid with these ports and else unchanged',
    seeds: bytesOfText(station, '', '[[bay]]\nnumber = 1\nusb_port = "1-1"\n', 'bay = []\n'),
    words: tomlWords,
    run(input) {
      const text = utf8(input);
      const bays = [
        { number: 1, usbPort: '1-9.1' },
        { number: 3, usbPort: '2-9.3' },
      ];
      const edited = orRefused(['config.invalid'], () => withLearnedBays(text, 'f', bays));
      if (edited === undefined) return;
      const config = parseConfig(edited, 'f');
      for (const { number, usbPort } of bays) {
        const port = config.bay.find((bay) => bay.number === number)?.usb_port;
        expectThat(port === usbPort, `bay ${number} has ${port}`);
      }
    },
  },
  {
    name: 'profile-toml',
    story: 'a camera profile: valid, or a ConfigError; its patterns take any path in bounded time',
    seeds: bytesOfText(
      profile,
      'name = "a"\nmodes = [{ match = { product = "x" } }]\nrecordings = ["**/**/*a*"]\n',
    ),
    words: [...tomlWords, '**/', '*', '?', '+(', ')', '{a,b}', '[!a]', '!', '\\'],
    run(input) {
      const text = utf8(input);
      const parsed = expectProblemsInside(text, () => parseToml(cameraProfileSchema, text, 'f'));
      if (!parsed) return;
      isRecordingOf(parsed)(`/${'a/'.repeat(16)}${'a'.repeat(255)}b`);
    },
  },
  {
    name: 'recording-globs',
    story: 'paths of a camera against the patterns of the built-in profiles: an answer in bounded time',
    seeds: bytesOfText('/DCIM/100/A.MP4', '/a/b/c/d/e/f.jpeg', '/x.mp4/y.mp4'),
    words: ['/', '..', '.mp4', '\\', '{', '**', '\0', '\u0130', '\ud800'],
    run: (input) => void isRecording?.(utf8(input)),
  },
  {
    name: 'safe-name',
    story: 'the name in the vault for a path of a camera: plain, short, with its id, inside its folder',
    seeds: bytesOfText('/DCIM/100/A.MP4', '../../etc/passwd', 'C:\\x\\CON', '.hidden', 'a.b.c.tar.gz', '/'),
    words: ['..', '/', '\\', '\0', '\n', '.mp4', '-', '\u202e', '\u0430', '%2e'],
    run(input) {
      for (const path of [utf8(input), Buffer.from(input).toString('latin1')]) {
        const name = safeName(path, '0123456789ab');
        expectThat(/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name) && name.length <= 128, `name ${name}`);
        expectThat(/-0123456789ab(?:\.[^.]*)?$/.test(name), `no id in ${name}`);
        expectThat(relative('/vault/A', join('/vault/A', name)) === name, `outside: ${name}`);
      }
    },
  },
  {
    name: 'storage-path',
    story: 'names on a disk as text and back: the same bytes; no text leads out of its storage',
    seeds: bytesOfText('A.MP4', '/DCIM/A.MP4', 'a\\x5cb', '../x', '\\x2f', '\\x00', '/../x', '/a/..').concat([
      Uint8Array.of(0xff, 0xfe, 0x41),
      Uint8Array.of(0xed, 0xa0, 0x80),
    ]),
    words: ['\\x2f', '\\x2e', '\\x', '\\', '/', '.', '..', '\0', '\u00e9'],
    run(input) {
      const inside = namesOfPath(utf8(input));
      for (const name of inside ?? []) {
        const isPlain =
          !name.includes(0x2f) && !name.includes(0) && !['', '.', '..'].includes(name.toString('latin1'));
        expectThat(isPlain, 'a name that leads elsewhere');
      }
      const name = Buffer.from(input);
      if (name.includes(0x2f) || name.includes(0) || ['', '.', '..'].includes(name.toString('latin1')))
        return;
      const again = namesOfPath(`/${nameAsText(name)}`);
      expectThat(isDeepStrictEqual(again, [name]), 'another name came back');
    },
  },
  {
    name: 'serial-number',
    story:
      'the serial number of a camera: refused, or safe as key, folder and topic, and its own normal form',
    seeds: bytesOfText('BC-0042', 'bc 0042', '\uff22\uff23', 'a.b', '..', 'x'.repeat(48)),
    words: ['\u200b', '\u00ad', '\u2000', '/', '+', '#', '\u0131', '\ufb03', '.', '-'],
    run(input) {
      const parsed = orRefused(['camera.identity-invalid'], () => parseSerialNumber(utf8(input)));
      if (parsed === undefined) return;
      expectThat(topicLevel.test(parsed), `topic ${parsed}`);
      expectThat(parseSerialNumber(parsed) === parsed, `not its own form: ${parsed}`);
      const topic = stationTopics({ department: 'd', post: 'p', station: 's' }).camera(parsed);
      expectThat(topic.split('/').length === 7 && !/[+#]/.test(topic), `topic ${topic}`);
    },
  },
  {
    name: 'station-clock',
    story: 'what chrony and systemd say: trusted only with a bound that is stated, positive and narrow',
    seeds: [
      ...bytesOfText(chrony).map((bytes) => withChoice(0, bytes)),
      ...bytesOfText(timesync).map((bytes) => withChoice(1, bytes)),
    ],
    words: [
      'Normal',
      'Not synchronised',
      ',',
      ',,',
      '-',
      'e9',
      'Infinity',
      'NaN',
      '0x1',
      'ms',
      'us',
      's',
      '=',
      '{',
      '}',
      '.',
    ],
    run(input) {
      const { choice: parse, rest } = chosen([parseChronyTracking, parseTimesync], input);
      const state: StationClockState = parse(utf8(rest));
      if (!state.isTrusted) return;
      const { boundMs = -1 } = state;
      expectThat(boundMs >= 0 && boundMs <= 500, `trusted within ${boundMs} ms`);
      if (parse !== parseChronyTracking) return;
      const fields = utf8(rest).trim().split(',');
      const isStated = [4, 10, 11].every((index) => /\d/.test(fields[index] ?? ''));
      expectThat(isStated, 'trusted without being told an offset, a delay and a dispersion');
      expectThat(
        /^(Normal|Insert second|Delete second)$/.test(fields[13] ?? ''),
        'trusted whatever the leap status',
      );
    },
  },
  {
    name: 'json-lines',
    story: 'every JSON form of MQTT and the control socket: refused, or the same when parsed again',
    seeds: bytesOfText(
      '{}',
      '{"serialNumber":"A","by":"x","cause":"lost","note":""}',
      '{"kind":"progress","done":1,"total":2,"what":"x"}',
      '{"v":1,"ts":"2026-11-22T18:30:05.123Z","seq":1,"state":"online","session":1,"boot":1,"version":"0"}',
      '{"v":1,"id":"0190163d-8694-739b-aea5-966c26f8ad91","seq":1,"ts":"2026-11-22T18:30:05Z","historical":false,"type":"a","data":{}}',
    ).map((bytes, index) => withChoice(index, bytes)),
    words: [
      '"__proto__":',
      '"constructor":',
      '{',
      '[',
      '1e400',
      '-0',
      'null',
      '"\\ud800"',
      '9007199254740993',
      'true',
    ],
    run(input) {
      const { choice: schema, rest } = chosen(schemas, input);
      let json: unknown;
      try {
        json = JSON.parse(utf8(rest));
      } catch {
        return;
      }
      const parsed = schema.safeParse(json);
      if (!parsed.success) return;
      expectThat(isDeepStrictEqual(schema.parse(parsed.data), parsed.data), 'not the same when parsed again');
    },
  },
];

function withChoice(choice: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(choice), bytes]);
}

function expectProblemsInside<T>(text: string, parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const lines = text.split('\n').length;
    expectThat(error.problems.length > 0, 'invalid without a problem');
    for (const { line = 1 } of error.problems)
      expectThat(line >= 1 && line <= lines, `line ${line} of ${lines}`);
    return undefined;
  }
}
