/**
 * The agent with a disk that leaves out what DOCK_TEST_FORGETS names, to show that power cuts tell it from the right
 * one. Arguments as agent/main.ts.
 */
import { openSerialBay } from '../../dock/bay/serial-bay.ts';
import { defaultSerialLine } from '../../dock/host/serial-port.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { startAgent } from '../../agent/agent.ts';
import { trustedByConfiguration } from '../../agent/clock/station-clock.ts';
import { loadConfig } from '../../agent/config/load.ts';
import { stderrLog } from '../../agent/log.ts';
import { forgetfulDisks } from './forgetful-disk.ts';

const forgotten = process.env['DOCK_TEST_FORGETS'];
const disk = forgotten === 'file-sync' || forgotten === 'folder-sync' ? forgetfulDisks[forgotten] : undefined;
if (!disk) throw new Error('DOCK_TEST_FORGETS: file-sync or folder-sync');
await startAgent(loadConfig(process.argv[3], process.env), {
  clock: systemClock,
  random: systemRandom,
  disk,
  log: stderrLog(process.env),
  checkStationClock: trustedByConfiguration,
  lookIntoBay: ({ serial }, signal) =>
    openSerialBay(
      { place: { path: serial?.path ?? '' }, line: defaultSerialLine, burstLines: 2, lineGapMs: 0 },
      systemClock,
      signal,
    ),
});
