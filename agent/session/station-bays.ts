import type { AgentHost } from '../agent-host.ts';
import type { Station } from '../station.ts';
import { BayLoop } from './bay-loop.ts';

/** The loops of all bays of a station, one each. */
export function stationBays(station: Station, host: AgentHost): BayLoop[] {
  return station.config.bay.map(
    (bay) =>
      new BayLoop(bay.number, {
        ...station,
        look: (signal) => host.lookIntoBay(bay, signal),
        powerCycle: async () => (await host.powerCycle?.(bay)) ?? false,
      }),
  );
}

/** Looks into a bay at once when something may have happened on its port. */
export function watchPorts(
  bays: readonly BayLoop[],
  { config }: Station,
  { watchBays }: AgentHost,
  signal: AbortSignal,
): void {
  watchBays?.((usbPort) => {
    const woken = config.bay.find(({ usb_port }) => usb_port === usbPort);
    bays.find(({ bay }) => bay === woken?.number)?.wake();
  }, signal);
}
