import type { AgentHost } from '../../agent/agent-host.ts';
import type { FlightRecorder } from '../../agent/flight/flight-recorder.ts';
import { openSerialBay } from '../../dock/bay/serial-bay.ts';
import { defaultSerialLine } from '../../dock/host/serial-port.ts';
import { systemClock } from '../../dock/host/system-clock.ts';

/** Serial bays as the agent opens them, with what they see kept by the recorder. */
export function recordedBay(flights: FlightRecorder): AgentHost['lookIntoBay'] {
  return ({ number, serial }, signal) =>
    openSerialBay(
      { place: { path: serial?.path ?? '' }, line: defaultSerialLine, burstLines: 2, lineGapMs: 1 },
      systemClock,
      signal,
      flights.logOf(number),
    );
}
