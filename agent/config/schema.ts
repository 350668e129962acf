import { z } from 'zod';
import { commands, type CommandName } from '../../protocol/mqtt/commands.ts';
import { topicLevel } from '../../protocol/mqtt/topics.ts';
import { usbPortPath } from '../../dock/host/usb-tree.ts';
import { maxHeadcount } from '../../protocol/norm/quota.ts';

/**
 * The configuration file, key by key. Every key has a sentence, a unit where it has one, a range and a default;
 * `dockctl config explain` prints them from here.
 */
const name = z.string().regex(topicLevel, 'letters, digits, dot, dash, underscore; at most 48');
const path = z.string().min(1).max(4096);
const unit = (text: string) => ({ unit: text });

const serial = z
  .strictObject({
    path: path
      .optional()
      .describe('Device of the bay, best a stable link such as /dev/serial/by-path/… (or give usb_port).'),
    usb_port: z
      .string()
      .regex(/^\d+-\d+(\.\d+)*(:\d+\.\d+)?$/, 'a USB port path such as 1-1.2 or 1-1.2:1.0')
      .optional()
      .describe('Physical USB port of the bay; the serial device found behind it is used.'),
    baud_rate: z.int().min(1200).max(12_000_000).default(115_200).meta(unit('bit/s')).describe('Line rate.'),
    data_bits: z.literal([5, 6, 7, 8]).default(8).meta(unit('bit')).describe('Data bits of a character.'),
    stop_bits: z.literal([1, 2]).default(1).meta(unit('bit')).describe('Stop bits of a character.'),
    parity: z.enum(['none', 'even', 'odd']).default('none').describe('Parity of a character.'),
    flow_control: z
      .enum(['none', 'rtscts'])
      .default('none')
      .describe('Hardware flow control; advised from 460800 bit/s on.'),
    burst_lines: z
      .int()
      .min(1)
      .max(64)
      .default(2)
      .meta(unit('lines'))
      .describe('Lines sent to a camera in one go; its line buffers must hold them.'),
    line_gap_ms: z
      .int()
      .min(0)
      .max(1000)
      .default(20)
      .meta(unit('ms'))
      .describe('Pause before each further line of a longer message.'),
  })
  .refine((value) => (value.path === undefined) !== (value.usb_port === undefined), {
    message: 'give either path or usb_port',
    when: isTable,
  });

const bay = z
  .strictObject({
    number: z.int().min(1).max(999).describe('Number printed on the bay.'),
    usb_port: z
      .string()
      .regex(usbPortPath, 'a USB port path such as 1-1.2')
      .optional()
      .describe('Physical USB port of the bay: whatever camera is plugged in there (or give serial).'),
    serial: serial.optional().describe('Serial line to the camera in this bay.'),
  })
  .refine((value) => (value.serial === undefined) !== (value.usb_port === undefined), {
    message: 'give either usb_port or serial',
    when: isTable,
  });

const cameras = z.strictObject({
  profiles: path
    .optional()
    .describe('Folder with camera profiles, one TOML file each; see dockctl probe --draft.'),
  generic: z
    .boolean()
    .default(false)
    .describe(
      'Take anything that speaks MTP or shows itself as a disk for a camera, also without a profile.',
    ),
});

const usb = z.strictObject({
  helper_socket: path
    .default('/run/dock-helper.sock')
    .describe('Socket of the privileged helper that mounts storages and switches ports.'),
});

const station = z.strictObject({
  department: name.default('department').describe('Department of state revenue; a level of MQTT topics.'),
  post: name.default('post').describe('Customs post or checkpoint; a level of MQTT topics.'),
  name: name.default('station').describe('This docking station; a level of MQTT topics.'),
});

const post = z.strictObject({
  headcount: z
    .int()
    .min(0)
    .max(maxHeadcount)
    .optional()
    .meta(unit('workers'))
    .describe(
      'Workers of the post; the norm gives its quota of cameras. Without it nothing is enrolled. Not used with an issuer key.',
    ),
  issuer_key_file: path
    .optional()
    .describe(
      'Public key (Ed25519, PEM or JWK) of whoever states the headcount by signed assignments: only these count then.',
    ),
  enrolment: z
    .enum(['automatic', 'manual'])
    .default('automatic')
    .describe('Whether new cameras are taken until the quota is full, or wait for dockctl enrol.'),
});

const state = z.strictObject({
  folder: path.default('dock-state').describe('Where the station keeps its database and its control socket.'),
});

const maintenance = z.strictObject({
  hour_utc: z
    .int()
    .min(0)
    .max(23)
    .default(20)
    .meta(unit('hour'))
    .describe(
      'When the database is checked and backed up beside the vault, UTC; 20 is one at night in Kazakhstan.',
    ),
  backups: z
    .int()
    .min(1)
    .max(365)
    .default(7)
    .meta(unit('files'))
    .describe('Backups of the database that are kept.'),
  scrub_days: z
    .int()
    .min(1)
    .max(3650)
    .default(30)
    .meta(unit('days'))
    .describe('Every stored recording is read back and compared with its digest so often.'),
  scrub_bytes_per_second: z
    .int()
    .min(65_536)
    .max(2 ** 40)
    .default(20 * 2 ** 20)
    .meta(unit('bytes/s'))
    .describe('Fastest pace of that reading, which also waits while a camera is being emptied.'),
  health_seconds: z
    .int()
    .min(5)
    .max(3600)
    .default(60)
    .meta(unit('s'))
    .describe('How often the station measures its own health.'),
});

const vault = z.strictObject({
  folder: path
    .optional()
    .describe('Where recordings are stored; by default the folder vault in the state folder.'),
  reserve_bytes: z
    .int()
    .min(0)
    .max(2 ** 50)
    .default(256 * 2 ** 20)
    .meta(unit('bytes'))
    .describe('Free space that recordings never use up.'),
  removal: z
    .enum(['never', 'when-verified', 'when-archived'])
    .default('never')
    .describe('When a recording is removed from its camera; when-archived waits for an archive.'),
  max_recording_bytes: z
    .int()
    .min(1)
    .max(2 ** 50)
    .default(2 ** 40)
    .meta(unit('bytes'))
    .describe('A recording that states more is refused as damaged.'),
});

const clock = z.strictObject({
  station_clock: z
    .enum(['checked', 'trusted'])
    .default('checked')
    .describe(
      'Whether the station clock must prove itself (chrony, timesyncd) before camera clocks are set.',
    ),
  tolerance_ms: z
    .int()
    .min(1)
    .max(60_000)
    .default(100)
    .meta(unit('ms'))
    .describe('A camera clock that is known to be closer than this is left alone.'),
  measure_for_ms: z
    .int()
    .min(1000)
    .max(60_000)
    .default(5000)
    .meta(unit('ms'))
    .describe('Longest time spent on one measurement of a camera clock.'),
});

/** Role, hosts, database. */
export const registerUrl = /^postgres:\/\/([^\s/@:]+)@([^\s/@]+)\/([\w-]+)$/;

const broker = z.strictObject({
  url: z
    .string()
    .regex(/^(mqtt|mqtts):\/\/[^\s/@]+$/, 'mqtt://HOST:PORT or mqtts://HOST:PORT, without user or password')
    .refine((text) => URL.canParse(text), 'no valid host and port')
    .optional()
    .describe('Broker of central monitoring; without it an embedded one runs on loopback.'),
  username: z.string().max(256).optional().describe('User name at the broker.'),
  password_file: path.optional().describe('File with the password at the broker.'),
  ca_file: path.optional().describe('Certificates of the authority of the broker, PEM.'),
  cert_file: path.optional().describe('Certificate of this station, PEM.'),
  key_file: path.optional().describe('Private key of this station, PEM.'),
  embedded_port: z
    .int()
    .min(0)
    .max(65_535)
    .default(1883)
    .describe('Port of the embedded broker on loopback; 0 takes any free one.'),
});

const register = z.strictObject({
  url: z
    .string()
    .regex(registerUrl, 'postgres://ROLE@HOST:PORT[,HOST:PORT...]/DATABASE, without password')
    .optional()
    .describe(
      'Register that the stations of a post share; the host that takes writes is used. Without it the station has its own.',
    ),
  password_file: path.optional().describe('File with the password at the register.'),
  ca_file: path
    .optional()
    .describe('Certificates of the authority of the register, PEM; TLS is left out only on loopback.'),
  cert_file: path.optional().describe('Certificate of this station at the register, PEM.'),
  key_file: path.optional().describe('Private key of this station at the register, PEM.'),
});

const report = z.strictObject({
  receipt: z
    .enum(['broker', 'consumer'])
    .default('broker')
    .describe(
      'Whether an event counts as delivered when the broker has it, or when a consumer acknowledged it with a command.',
    ),
  most_events: z
    .int()
    .min(1000)
    .max(100_000_000)
    .default(1_000_000)
    .meta(unit('events'))
    .describe(
      'From so many undelivered events on nothing is removed from cameras; from 1.25 times as many on no session begins.',
    ),
  most_bytes: z
    .int()
    .min(2 ** 20)
    .max(2 ** 40)
    .default(512 * 2 ** 20)
    .meta(unit('bytes'))
    .describe('The same by the size of undelivered events.'),
  most_days: z
    .int()
    .min(1)
    .max(3650)
    .default(90)
    .meta(unit('days'))
    .describe('Once the oldest undelivered event is older, nothing is removed from cameras.'),
  most_samples: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .meta(unit('samples'))
    .describe('Undelivered samples that are kept; of more the oldest are dropped and counted.'),
});

const commandNames = Object.keys(commands) as CommandName[];

const commandsTaken = z.strictObject({
  enabled: z
    .array(z.enum(commandNames))
    .max(commandNames.length)
    .default(commandNames.filter((name) => name !== 'enrol' && name !== 'retire'))
    .describe(
      'What central monitoring may have done over MQTT; enrol and retire only where they are named here. Who may ask is decided by the access list of the broker.',
    ),
});

const session = z.strictObject({
  presence_ms: z
    .int()
    .min(100)
    .max(600_000)
    .default(2000)
    .meta(unit('ms'))
    .describe('How often a bay looks for a camera, and for whether a camera is still there.'),
  retry_ms: z
    .int()
    .min(100)
    .max(3_600_000)
    .default(30_000)
    .meta(unit('ms'))
    .describe('Pause before a docked camera that could not be finished is tried again.'),
  reseat_ms: z
    .int()
    .min(0)
    .max(600_000)
    .default(10_000)
    .meta(unit('ms'))
    .describe('A camera that comes back into its bay within this time was never taken.'),
  reenumeration_ms: z
    .int()
    .min(1000)
    .max(300_000)
    .default(30_000)
    .meta(unit('ms'))
    .describe('How long a camera that was unlocked may take to come back as a storage.'),
});

export const configSchema = z
  .strictObject({
    station: station.prefault({}).describe('Who this station is.'),
    post: post.prefault({}).describe('The post and its norm.'),
    state: state.prefault({}).describe('State of the station.'),
    vault: vault.prefault({}).describe('Recordings on the station and on the cameras.'),
    maintenance: maintenance.prefault({}).describe('What the station does for itself.'),
    clock: clock.prefault({}).describe('Clocks of station and cameras.'),
    broker: broker.prefault({}).describe('MQTT.'),
    register: register.prefault({}).describe('Register shared with other stations of the post.'),
    commands: commandsTaken.prefault({}).describe('Commands over MQTT.'),
    report: report.prefault({}).describe('Events that wait for central monitoring.'),
    session: session.prefault({}).describe('Pace of docking sessions.'),
    cameras: cameras.prefault({}).describe('Which cameras are known.'),
    usb: usb.prefault({}).describe('USB.'),
    bay: z.array(bay).max(128).default([]).describe('One entry for each bay.'),
  })
  .superRefine(
    (config, context) => {
      const seen = new Map<string, number>();
      const bays = bayPlaces.safeParse(config.bay).data ?? [];
      for (const [index, { number, usb_port, serial: line }] of bays.entries()) {
        const port = usb_port ?? line.path ?? line.usb_port;
        const key = usb_port === undefined ? 'serial' : 'usb_port';
        const places = [
          ...(number === undefined ? [] : [{ key: 'number', place: `number ${number}` }]),
          ...(port === undefined ? [] : [{ key, place: `port ${port}` }]),
        ];
        for (const { key, place } of places) {
          const first = seen.get(place);
          if (first === undefined) seen.set(place, index);
          else {
            const message = `${place} is already used by bay[${first}]`;
            context.addIssue({ code: 'custom', path: ['bay', index, key], message });
          }
        }
      }
    },
    { when: isTable },
  );

/** What tells bays apart, as far as it is there: duplicates are named together with all other problems. */
const bayPlaces = z.array(
  z.object({
    number: z.int().optional().catch(undefined),
    usb_port: z.string().optional().catch(undefined),
    serial: z
      .object({
        path: z.string().optional().catch(undefined),
        usb_port: z.string().optional().catch(undefined),
      })
      .catch({ path: undefined, usb_port: undefined }),
  }),
);

/** Checks across keys run even where single keys are wrong, so that all problems are named at once. */
function isTable({ value }: { value: unknown }): boolean {
  return typeof value === 'object' && value !== null;
}

export type Config = z.output<typeof configSchema>;
export type BayConfig = Config['bay'][number];
