// A station can lose its agent between any two instructions: the OOM killer, a fault in a native package, an update.
// The real agent, as `npm run agent` starts it, is killed over and over while two cameras are emptied that go on
// recording. DOCK_CRASH_KILLS sets how often; several stations share the work.
import { expect, test } from 'vitest';
import { CrashStation } from './crash-station.ts';
import { eventViolations, StationRemains, unfinished, violations, type Hashed } from './station-remains.ts';

const kills = Number(process.env['DOCK_CRASH_KILLS'] ?? 3);
const stations = Math.min(3, Math.ceil(kills / 4));
const recordingsEach = 3;

test(
  `a station killed ${kills} times has lost nothing, has nothing twice and agrees with its disk`,
  { timeout: 600_000 },
  async () => {
    const hits = new Map<string, number>();
    let recordings = 0;
    const livesMs: number[] = [];
    let left = kills;
    await Promise.all(
      Array.from({ length: stations }, async () => {
        await using station = await CrashStation.open({ bays: 2 });
        const hashed: Hashed = new Set();
        const life = await station.emptyOnce(recordingsEach);
        livesMs.push(life.startMs + life.workMs);
        while (left-- > 0) {
          // What earlier lives left is work enough: with a backlog nearly every kill would hit a pull.
          for (const camera of station.cameras) camera.record(recordingsEach - camera.held().length);
          const agent = station.start();
          for (const camera of station.cameras) camera.onRemoved = () => camera.record(1);
          await station.untilAnyMoment(life);
          await agent.kill();
          for (const camera of station.cameras) camera.onRemoved = () => undefined;
          expect(agent.end, agent.log).toBe('SIGKILL');
          const remains = new StationRemains(station);
          const phase = phaseOf(station, remains);
          hits.set(phase, (hits.get(phase) ?? 0) + 1);
          expect(violations(station, remains, hashed)).toEqual([]);
        }
        await station.emptyOnce(recordingsEach);
        const remains = new StationRemains(station);
        recordings += remains.recordings.length;
        expect(violations(station, remains, new Set())).toEqual([]);
        expect(unfinished(remains)).toEqual([]);
        expect(eventViolations(station.monitor.events(), remains)).toEqual([]);
      }),
    );
    const counts = [...hits].toSorted(([, a], [, b]) => b - a).map(([phase, count]) => `${phase} ${count}`);
    console.log(
      `${kills} kills within ${livesMs.join(' or ')} ms, ${recordings} recordings; killed while: ${counts.join(', ')}`,
    );
  },
);

/** What the station was at when it was killed, as its cameras and its remains tell. */
function phaseOf({ cameras, isEmptied }: CrashStation, remains: StationRemains): string {
  if (cameras.every(({ asked }) => asked === 'nothing')) return 'starting';
  if (remains.removals.length > 0) return 'removing, announced';
  const linked = remains.intakes.some(({ stored_path: path }) => remains.files.has(String(path)));
  if (linked) return 'storing, linked without a row';
  const asked = cameras.map((camera) => camera.asked);
  for (const phase of ['removal', 'recording', 'digest', 'list', 'clock'] as const) {
    if (asked.includes(phase)) return phase;
  }
  return isEmptied ? 'at rest' : 'identity';
}
