import type { Outbox } from '../report/outbox.ts';
import type { BayBoard } from '../session/bay-board.ts';
import type { FlightRecorder } from './flight-recorder.ts';

/** What of the events is a fault between a bay and its camera. */
const faultEvents: ReadonlySet<string> = new Set([
  'camera-unusable',
  'health-missing',
  'recording-quarantined',
  'removal-failed',
  'session-finished',
]);
const faultCodes = /^(wire|link|usb|ptp|smp|mount|camera|recording|removal|internal)\./;

/** Has the recorder take down what a bay saw whenever an event tells of a fault there. */
export function recordFaults(recorder: FlightRecorder, outbox: Outbox, board: BayBoard): void {
  outbox.onRecorded((type, data) => {
    const { code, detail = '', serialNumber = '' } = data;
    if (!faultEvents.has(type) || typeof code !== 'string' || !faultCodes.test(code)) return;
    const bay = data['bay'] ?? board.bayOf(String(serialNumber));
    if (typeof bay !== 'number') return;
    recorder.fault({ bay, code, detail: String(detail), serialNumber: String(serialNumber) });
  });
}
