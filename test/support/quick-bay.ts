import type { AgentHost } from '../../agent/agent-host.ts';
import { emptyIfSilent } from '../../dock/bay/serial-bay.ts';
import type { Camera } from '../../dock/camera/camera.ts';
import { consoleTransport, defaultConsoleOptions } from '../../dock/camera/console-transport.ts';
import { openSmpCamera } from '../../dock/camera/smp-camera.ts';
import { openSerialPort, defaultSerialLine } from '../../dock/host/serial-port.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { sampleCamera, type SampleCamera } from '../../dock/simulator/sample-camera.ts';
import type { SimulatedCamera } from '../../dock/simulator/simulated-camera.ts';
import { existsSync } from 'node:fs';

/** Opens bays over real serial ports as the agent does, but gives up on silence sooner. */
export const quickBay: AgentHost['lookIntoBay'] = async ({ serial }, signal) => {
  const path = serial?.path ?? '';
  return existsSync(path) ? emptyIfSilent(openQuickly(path, signal), signal) : { kind: 'empty' };
};

export async function openQuickly(path: string, signal: AbortSignal): Promise<Camera> {
  const link = await openSerialPort(path, defaultSerialLine);
  const transport = consoleTransport(link, systemClock, { ...defaultConsoleOptions, lineGapMs: 1 });
  return openSmpCamera(transport, systemClock, signal, { answerTimeoutMs: 250, attempts: 4 });
}

/** A camera with a millisecond clock that is right: its session takes no time for the clock. */
export function quickCamera(sample: SampleCamera): SimulatedCamera {
  return sampleCamera({ clockResolutionMs: 1, clockDriftPpm: 0, ...sample }, systemClock);
}
