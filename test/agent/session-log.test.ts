// What a station says it removed, it removed: a recording that only cannot be seen is not gone.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Database } from '../../agent/state/database.ts';
import { eventsOf } from '../support/station-facts.ts';
import { TestStation } from '../support/test-station.ts';
import { ByteCamera } from '../support/byte-camera.ts';
import { VaultBench } from '../vault/vault-bench.ts';

test('an announced removal is settled by a list without the recording, never by one with a broken entry', async () => {
  using bench = new VaultBench();
  const camera = new ByteCamera();
  const recording = camera.add('/DCIM/A.MP4', 1000);
  const log = bench.openSession(camera);
  const copy = await bench.pull(camera, recording, log);
  log.removalIntended(copy?.recordingId ?? '');
  const removed = (): number =>
    bench.outbox.latest(100).filter(({ type }) => type === 'recording-removed').length;

  log.settleRemovals([recording]);
  log.settleRemovals([{ ...recording, id: '#0', path: '#0', defect: 'its entry cannot be read' }]);
  expect([removed(), log.account().removed]).toEqual([0, 0]);
  log.settleRemovals([]);
  expect([removed(), log.account().removed]).toEqual([1, 1]);
  log.settleRemovals([]);
  expect([removed(), log.account().removed]).toEqual([1, 1]);
});

test('a session that a crash left open is closed and accounted for by the next start', async () => {
  await using station = await TestStation.start();
  {
    using db = new Database(join(station.folder, 'station.db'));
    db.run(
      "INSERT INTO docking_session (id, bay, serial_number, started_at, listed) VALUES ('S', 1, 'BC-1', 1, 3)",
    );
  }
  await station.restart();
  const left = { sessionId: 'S', outcome: 'interrupted', listed: 3, unaccounted: 3 };
  expect(await eventsOf(station, 'session-finished')).toMatchObject([left]);
  expect(await station.sessions()).toMatchObject([{ outcome: 'interrupted', unaccounted: 3 }]);
});
