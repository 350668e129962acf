import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseToml } from '../../../agent/config/load.ts';
import { startControlServer, type ControlHandlers } from '../../../agent/control/server.ts';
import type { Log } from '../../../agent/log.ts';
import { MqttConnection } from '../../../agent/report/mqtt-connection.ts';
import { builtInProfiles } from '../../../dock/camera/built-in-profiles.ts';
import { draftProfile } from '../../../dock/camera/draft-profile.ts';
import { cameraProfileSchema } from '../../../dock/camera/profile.ts';
import { recognise } from '../../../dock/camera/recognise.ts';
import { listHidNodes } from '../../../dock/host/hid-list.ts';
import { PrivilegedHelper } from '../../../dock/host/privileged-helper.ts';
import { systemClock } from '../../../dock/host/system-clock.ts';
import { readRawUsb } from '../../../dock/host/usb-attributes.ts';
import { readPtpEndpoints } from '../../../dock/host/usb-endpoints.ts';
import { readUsbTree } from '../../../dock/host/usb-tree.ts';
import { FakeSysfs } from '../../support/fake-sysfs.ts';
import { bytesOfText, chosen, expectThat, orRefused, orRefusedLater, type FuzzTarget } from '../target.ts';

let folder: string | undefined;
/** Sockets and files of this process, made when the first input needs them. */
function place(): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'dock-fuzz-'));
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return folder;
}

/** A peer that says the same to everybody and hangs up. */
class Sayer {
  readonly #server: Server;
  says = new Uint8Array(0);
  /** Waits for the first bytes of the other side before it speaks. */
  constructor() {
    this.#server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(this.says));
    });
    this.#server.unref();
  }

  async listen(path: string): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(path, () => resolve()));
    return this;
  }
}

let helper: Promise<Sayer> | undefined;
let broker: Promise<Sayer> | undefined;
let control: Promise<unknown> | undefined;
let sysfs: FakeSysfs | undefined;
let hostFolder: string | undefined;

const helperCodes = [
  'mount.helper-missing',
  'mount.refused',
  'mount.no-medium',
  'removal.refused',
  'link.closed',
] as const;
const handled = async (request: unknown): Promise<unknown> => request;
const handlers: ControlHandlers = {
  status: handled,
  bays: handled,
  faults: handled,
  cameras: handled,
  recordings: handled,
  enrol: handled,
  retire: handled,
  replace: handled,
  fleet: handled,
  transfer: handled,
  audit: handled,
  pull: handled,
  pause: handled,
  resume: handled,
  identify: handled,
  'reload-configuration': handled,
  quota: handled,
  verify: handled,
  events: handled,
  sessions: handled,
  health: handled,
  flights: handled,
  flight: handled,
  'confirm-register': handled,
  assignment: handled,
  'install-assignment': handled,
};

export const machineTargets: readonly FuzzTarget[] = [
  {
    name: 'helper-answers',
    story: 'what the privileged helper answers: a DockError, or a volume and a limit with real numbers',
    seeds: bytesOfText(
      'ok folder=/run/dock-mounts/1-1.2.0 type=vfat dirty=0 device=sda1 lun=0\n',
      'ok mib=64\n',
      'refused no-medium sda has no medium\n',
      'failed gone cannot read: the device is gone\n',
    ),
    words: [
      'ok ',
      'refused ',
      'failed ',
      'lun=',
      'mib=',
      'folder=',
      '=',
      ' ',
      '\n',
      'NaN',
      '-1',
      '1e9',
      '../',
    ],
    isSlow: true,
    async run(input) {
      const socketPath = join(place(), 'helper.sock');
      helper ??= new Sayer().listen(socketPath);
      (await helper).says = Uint8Array.from(input);
      const asked = new PrivilegedHelper(systemClock, { socketPath });
      const volume = await orRefusedLater(helperCodes, () =>
        asked.mount({ portPath: '1-1.2', diskSequence: 1 }),
      );
      if (volume) {
        expectThat(
          Number.isInteger(volume.logicalUnit) && volume.logicalUnit >= 0,
          `unit ${volume.logicalUnit}`,
        );
        expectThat(/^\/[^\0]+$/.test(volume.folder), `folder ${volume.folder}`);
      }
      const mib = await orRefusedLater(helperCodes, () => asked.raiseUsbfsMemory(64));
      if (mib !== undefined) expectThat(Number.isInteger(mib) && mib >= 0, `${mib} MiB`);
    },
  },
  {
    name: 'helper-requests',
    story:
      'what the privileged helper is asked: one line of a known kind, and nothing made outside its folder',
    seeds: bytesOfText(
      'mount 1-1.2 5\n',
      'mount 1-1.2 5 0\n',
      'writable 1-1.2 5\n',
      'readonly 1-1.2 5\n',
      'unmount 1-1.2 0\n',
      'power-cycle 1-1.2\n',
      'usbfs-memory 64\n',
    ),
    words: [
      '..',
      '/',
      ' ',
      '$(touch x)',
      ';',
      '`',
      '*',
      '\0',
      '\n',
      '-',
      '1-1.2',
      '1-1.1',
      '99999999999',
      '08',
    ],
    isSlow: true,
    mostBytes: 400,
    mostMs: 10_000,
    run(input) {
      hostFolder ??= fakeHost(join(place(), 'host'));
      const { stdout, status } = spawnSync('/bin/bash', [helperPath], {
        input,
        cwd: hostFolder,
        encoding: 'latin1',
        timeout: 30_000,
        env: {
          DOCK_BAY_PORTS: join(hostFolder, 'bay-ports'),
          DOCK_MOUNTS: join(hostFolder, 'mounts'),
          DOCK_SYS: join(hostFolder, 'sys'),
          DOCK_DEV: join(hostFolder, 'dev'),
          DOCK_USER: 'root',
        },
      });
      expectThat(status === 0 || status === 1, `ended with ${status}`);
      expectThat(/^$|^(ok|(refused|failed) [a-z-]+ )?[^\n]*\n$/.test(stdout), `answered ${stdout}`);
      const there = readdirSync(hostFolder).join();
      expectThat(/^bay-ports,(?:mounts,)?sys$/.test(there), `left ${there}`);
      const locks = readdirSync(join(hostFolder, 'mounts'), { recursive: true }).join();
      expectThat(locks === '' || locks === '1-1.2.lock', `left ${locks}`);
    },
  },
  {
    name: 'control-socket',
    story: 'any bytes on the control socket: the server goes on answering, and nothing is thrown',
    seeds: bytesOfText(
      'POST /v1/status HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}',
      'POST /v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-length: 31\r\n\r\n{"serialNumber":"A","by":"me"} ',
      'POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
    ),
    words: [
      '\r\n',
      'POST ',
      '/v1/',
      'content-length: ',
      'transfer-encoding: chunked\r\n',
      '__proto__',
      'expect: 100-continue\r\n',
      'upgrade: h2c\r\nconnection: upgrade\r\n',
      '{',
      '"',
    ],
    isSlow: true,
    mostMs: 5000,
    async run(input) {
      const path = join(place(), 'control.sock');
      control ??= startControlServer(path, handlers, silentLog);
      await control;
      await said(path, input);
      if ((input.at(-1) ?? 0) % 8 !== 0) return;
      const answer = await said(
        path,
        Buffer.from('POST /v1/quota HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}'),
      );
      expectThat(answer.includes('"kind":"result"'), `then answers ${answer.slice(0, 200)}`);
    },
  },
  {
    name: 'mqtt-broker',
    story: 'what a broker answers: broker.unreachable, or a connection that closes in order',
    seeds: [
      Buffer.from('2003000000', 'hex'),
      Buffer.from('20090000062100012200ff', 'hex'),
      Buffer.from('20020000', 'hex'),
      Buffer.from('2003008400', 'hex'),
      Buffer.from('200300000040020001', 'hex'),
      Buffer.from('200300000030050001610068', 'hex'),
    ],
    words: [
      Buffer.from('ffffff7f', 'hex'),
      Buffer.from('d000', 'hex'),
      Buffer.from('e000', 'hex'),
      Buffer.from('f000', 'hex'),
    ],
    isSlow: true,
    mostMs: 5000,
    async run(input) {
      const path = join(place(), 'broker.sock');
      broker ??= new Sayer().listen(path);
      (await broker).says = Uint8Array.from(input);
      const options = { url: `unix://${path}`, clientId: 'x', will: { topic: 't', payload: '' } };
      const { signal } = new AbortController();
      const connection = await orRefusedLater(['broker.unreachable'], () =>
        MqttConnection.open(options, systemClock, signal),
      );
      if (!connection) return;
      await using open = connection;
      expectThat(open.receiveMaximum >= 1, `takes ${open.receiveMaximum} at a time`);
      await orRefusedLater(['broker.unreachable'], () => open.publish('t', '{}', { retain: false, signal }));
    },
  },
  {
    name: 'sysfs',
    story: 'what devices write into sysfs: read without an error, and drafts of profiles are valid TOML',
    seeds: bytesOfText(
      '0Acme\nBody camera 2\nBC-0042\nMTP\n1d6b\n0104\n',
      '3a"b\\c\n\u0000\n\u202e\n\n2207\n0012\n',
      `1${'x'.repeat(300)}\n]]\n#\n'''\n04e8\n6860\n`,
    ),
    words: [
      '\n',
      '"',
      '\\',
      '"""',
      '\u0000',
      '\u001b[2J',
      '\u0085',
      '\ud800',
      '0x',
      '-1',
      '99999999999999999999',
      'HID_ID=',
    ],
    isSlow: true,
    async run(input) {
      sysfs ??= cameraSysfs();
      const { sysRoot } = sysfs;
      const { choice: isSerial, rest } = chosen([true, false], input);
      const lines = Buffer.from(rest).toString('latin1').split('\n');
      const names = [
        'manufacturer',
        'product',
        'serial',
        'idVendor',
        'idProduct',
        'speed',
        'bMaxPower',
        'devnum',
      ];
      names.forEach((name, index) => {
        writeFileSync(join(sysRoot, 'bus/usb/devices/1-1', name), Buffer.from(lines[index] ?? '', 'latin1'));
      });
      writeFileSync(join(sysRoot, 'bus/usb/devices/1-1', isSerial ? 'descriptors' : 'serial'), rest);
      const profiles = builtInProfiles({ generic: true });
      for (const device of await readUsbTree({ sysRoot })) {
        recognise(device, profiles);
        await readPtpEndpoints(device.portPath, 'auto', { sysRoot });
        const draft = orRefused(['camera.stranger', 'camera.unknown-model'], () =>
          draftProfile(device, { usages: new Map(), takenNames: [] }),
        );
        if (draft !== undefined) parseToml(cameraProfileSchema, draft, 'draft');
      }
      await readRawUsb({ sysRoot });
      await listHidNodes({ sysRoot });
    },
  },
];

const helperPath = new URL('../../../dock/host/dock-helper.sh', import.meta.url).pathname;
const silentLog = { error: () => undefined, warn: () => undefined, info: () => undefined } as unknown as Log;

function fakeHost(root: string): string {
  for (const each of ['sys/bus/usb/devices/1-1.2', 'sys/module/usbcore/parameters', 'mounts']) {
    mkdirSync(join(root, each), { recursive: true });
  }
  writeFileSync(join(root, 'bay-ports'), '1-1.2\n');
  writeFileSync(join(root, 'sys/module/usbcore/parameters/usbfs_memory_mb'), '16\n');
  return root;
}

function cameraSysfs(): FakeSysfs {
  const made = new FakeSysfs([
    {
      port: '1-1',
      interfaces: [
        { class: '06/01/01', description: 'MTP' },
        { class: '03/00/00', hidraw: 'hidraw0' },
      ],
    },
  ]);
  process.once('exit', () => rmSync(made.root, { recursive: true, force: true }));
  return made;
}

/** Sends bytes, hangs up the sending half, and returns all that comes back. */
function said(path: string, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(path);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => (answer += text));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
    socket.end(bytes);
  });
}
