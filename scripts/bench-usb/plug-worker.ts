/** Helper of the bench: the agent's own parts put together as in agent/main.ts, saying when each step is done. */
import { startAgent } from '../../agent/agent.ts';
import { trustedByConfiguration } from '../../agent/clock/station-clock.ts';
import { loadConfig } from '../../agent/config/load.ts';
import { loadProfiles } from '../../agent/config/profiles.ts';
import type { Log } from '../../agent/log.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';
import { openUsbBay } from '../../dock/bay/usb-bay.ts';
import type { Camera } from '../../dock/camera/camera.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { systemUsbHost } from '../../dock/host/usb-host.ts';
import { watchUsbPorts } from '../../dock/host/usb-watch.ts';
import { helperTask, sendToBench } from '../bench/helper-process.ts';

export interface PlugTask {
  readonly configFile: string;
}

/** What the host side does with a camera that was plugged in, in this order. */
export const plugSteps = [
  'seen',
  'settled',
  'claimed',
  'opened',
  'enrolled',
  'listed',
  'asked',
  'first',
] as const;
export type PlugStep = (typeof plugSteps)[number];

export type PlugMessage =
  | { readonly kind: 'ready' }
  /** `atMs` by the machine's monotonic clock, the same in all processes. */
  | { readonly kind: 'step'; readonly step: PlugStep; readonly atMs: number };

export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const silent: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: (event, { error }) => process.stderr.write(`${event} ${String(error)}\n`),
};

function said(step: PlugStep): void {
  sendToBench({ kind: 'step', step, atMs: monotonicMs() } satisfies PlugMessage);
}

function tellingCamera(camera: Camera): Camera {
  return {
    identity: camera.identity,
    attachment: camera.attachment,
    health: camera.health,
    clock: camera.clock,
    readIdentity: (signal) => camera.readIdentity(signal),
    recordings: async function* (signal) {
      said('enrolled');
      yield* camera.recordings(signal);
      said('listed');
    },
    read: async function* (recording, offset, signal) {
      said('asked');
      let isFirst = true;
      for await (const bytes of camera.read(recording, offset, signal)) {
        if (isFirst) said('first');
        isFirst = false;
        yield bytes;
      }
    },
    [Symbol.asyncDispose]: () => camera[Symbol.asyncDispose](),
  };
}

if (import.meta.main) {
  const { configFile } = helperTask<PlugTask>();
  const loaded = loadConfig(configFile, process.env);
  const { config } = loaded;
  const host = await systemUsbHost({ helperSocket: config.usb.helper_socket, clock: systemClock });
  const profiles = loadProfiles(config);
  let isSeen = false;
  const telling: typeof host = {
    ...host,
    readDevice: async (portPath) => {
      const device = await host.readDevice(portPath);
      if (device && !isSeen) said('seen');
      isSeen = device !== undefined;
      return device;
    },
    openPtp: async (device, signal) => {
      said('settled');
      const pipe = await host.openPtp(device, signal);
      said('claimed');
      return pipe;
    },
  };
  await startAgent(loaded, {
    clock: systemClock,
    random: systemRandom,
    disk: nodeDisk,
    log: silent,
    checkStationClock: trustedByConfiguration,
    lookIntoBay: async ({ usb_port = '' }, signal) => {
      const bay = { usbPort: usb_port, profiles, reenumerationMs: config.session.reenumeration_ms };
      const content = await openUsbBay(bay, telling, systemClock, signal);
      if (content.kind !== 'camera') return content;
      said('opened');
      return { ...content, camera: tellingCamera(content.camera) };
    },
    watchBays: (wake, signal) => watchUsbPorts(wake, systemClock, signal),
  });
  sendToBench({ kind: 'ready' } satisfies PlugMessage);
}
