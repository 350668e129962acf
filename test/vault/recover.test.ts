// What a start makes of what a crash left behind. It follows from what lies on the disk and in the database, so the
// tests put just that there: a crash at every real moment is the business of sigkill.test.ts.
import { linkSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DockError } from '../../protocol/errors.ts';
import type { ListedRecording } from '../../dock/camera/camera.ts';
import { isVerifiedCopy } from '../../dock/camera/verified-copy.ts';
import type { CatalogueEntry } from '../../agent/vault/catalogue.ts';
import { ByteCamera } from '../support/byte-camera.ts';
import { VaultBench } from './vault-bench.ts';

interface Crashed {
  readonly bench: VaultBench;
  readonly camera: ByteCamera;
  readonly recording: ListedRecording;
  readonly finalPath: string;
}

/** Everything of the commit rule was done but its last step: the file is linked, the catalogue does not know it. */
async function linkedWithoutRow(sizeBytes = 400_000): Promise<Crashed> {
  const bench = new VaultBench();
  const camera = new ByteCamera();
  const recording = camera.add('/DCIM/A.MP4', sizeBytes);
  let commits = 0;
  const log = bench.openSession(camera);
  log.count('listed');
  bench.db.plan = {
    before: (n) => {
      // Intake, checkpoint, and then the catalogue.
      if (n - commits === 3) throw new DockError('vault.disk-error', 'injected');
    },
  };
  commits = bench.db.commits;
  await expect(bench.pull(camera, recording, log)).rejects.toMatchObject({ code: 'vault.disk-error' });
  bench.db.plan = {};
  const path = bench.files()[0] ?? '';
  expect([bench.catalogue.count(), bench.intakes(), bench.files().length]).toEqual([0, 1, 1]);
  expect(path).toMatch(/\/A-[0-9a-f]{12}\.MP4$/);
  return { bench, camera, recording, finalPath: join(bench.vaultFolder, path) };
}

/** The part of the same file, as it is named between linking and removing it. */
function partOf({ bench, finalPath }: Crashed): string {
  const id = String(bench.db.get('SELECT recording_id FROM intake')?.['recording_id']);
  return join(dirname(finalPath), `.part-${id}`);
}

async function stored(): Promise<{ bench: VaultBench; entry: CatalogueEntry; path: string }> {
  const bench = new VaultBench();
  const camera = new ByteCamera();
  const recording = camera.add('/DCIM/A.MP4', 400_000);
  await bench.dock(camera);
  const entry = bench.catalogue.findRecording('BC-1', recording);
  if (!entry) throw new Error('not stored');
  return { bench, entry, path: join(bench.vaultFolder, entry.storedPath) };
}

function problems(bench: VaultBench): unknown[] {
  return bench.outbox
    .latest(1000)
    .filter(({ type }) => type === 'vault-problem')
    .map(({ data }) => data);
}

describe('a file that was linked before a crash and is not in the catalogue', () => {
  test.each([400_000, 0])(
    'is adopted at the start, once, in the account of its session (%d bytes)',
    async (size) => {
      const crashed = await linkedWithoutRow(size);
      const { bench, camera, recording } = crashed;
      using _ = bench;
      await bench.restart();
      await bench.restart();
      await bench.expectAllStored(camera);
      expect(bench.eventTypes()).toEqual(['camera-docked', 'recording-stored', 'vault-file-adopted']);
      const entry = bench.catalogue.findRecording('BC-1', recording);
      expect(bench.outbox.latest(1)[0]?.data).toEqual({
        recordingId: entry?.id,
        storedPath: entry?.storedPath,
      });
      expect(bench.db.all('SELECT listed, stored, stored_bytes FROM docking_session')).toMatchObject([
        { listed: 1, stored: 1, stored_bytes: size },
      ]);
      expect((await bench.dock(camera)).account).toMatchObject({ listed: 1, held: 1, stored: 0 });
      expect(camera.readFrom.length).toBeLessThanOrEqual(1);
    },
  );

  test('is adopted at the start with its part when the crash came before the part was removed', async () => {
    const crashed = await linkedWithoutRow();
    const { bench, camera, finalPath } = crashed;
    using _ = bench;
    linkSync(finalPath, partOf(crashed));
    await bench.restart();
    await bench.expectAllStored(camera);
  });

  test('is adopted with its part by the next docking when only the catalogue failed', async () => {
    const crashed = await linkedWithoutRow();
    const { bench, camera, finalPath } = crashed;
    using _ = bench;
    linkSync(finalPath, partOf(crashed));
    expect((await bench.dock(camera)).account).toMatchObject({ listed: 1, held: 0, stored: 1 });
    expect(camera.readFrom).toHaveLength(1);
    await bench.expectAllStored(camera);
  });

  test('waits for the next docking when the account of its session was closed before', async () => {
    const { bench, camera } = await linkedWithoutRow();
    using _ = bench;
    bench.db.run(`UPDATE docking_session SET ended_at = started_at, outcome = 'attention'`);
    await bench.restart();
    expect([bench.catalogue.count(), bench.intakes(), bench.files().length]).toEqual([0, 1, 1]);
    expect((await bench.dock(camera)).account).toMatchObject({ listed: 1, held: 0, stored: 1 });
    expect(camera.readFrom).toHaveLength(1);
    expect(bench.db.all('SELECT stored FROM docking_session ORDER BY stored')).toMatchObject([
      { stored: 0 },
      { stored: 1 },
    ]);
    await bench.expectAllStored(camera);
  });

  test('has its folder synced before the catalogue knows it', async () => {
    const { bench, finalPath } = await linkedWithoutRow();
    using _ = bench;
    const counts: number[] = [];
    bench.disk.plan = {
      after: ({ operation, path }) => {
        if (operation === 'syncFolder' && path === dirname(finalPath)) counts.push(bench.catalogue.count());
      },
    };
    await bench.restart();
    expect(counts).toEqual([0]);
    expect(bench.catalogue.count()).toBe(1);
  });

  test.each([
    ['other bytes', (path: string) => writeFileSync(path, 'x', { flag: 'r+' })],
    ['fewer bytes', (path: string) => truncateSync(path, 399_999)],
    ['more bytes', (path: string) => writeFileSync(path, 'x', { flag: 'a' })],
    ['no bytes', (path: string) => truncateSync(path, 0)],
  ])('is pulled again when it holds %s than were noted', async (_name, harm) => {
    const { bench, camera, finalPath } = await linkedWithoutRow();
    using _ = bench;
    harm(finalPath);
    await bench.restart();
    expect([bench.catalogue.count(), bench.files(), bench.intakes()]).toEqual([0, [], 0]);
    expect((await bench.dock(camera)).copies).toHaveLength(1);
    expect(camera.readFrom.map(({ offset }) => offset)).toEqual([0, 0]);
    await bench.expectAllStored(camera);
    expect(bench.eventTypes()).not.toContain('vault-file-adopted');
  });

  test('is pulled again when it cannot be read, and the start goes on', async () => {
    const { bench, camera, finalPath } = await linkedWithoutRow();
    using _ = bench;
    bench.disk.plan = {
      before: ({ operation, path }) => {
        if (operation === 'read' && path === finalPath) throw new DockError('vault.disk-error', 'injected');
      },
    };
    await bench.restart();
    expect([bench.catalogue.count(), bench.files(), bench.intakes()]).toEqual([0, [], 0]);
    bench.disk.plan = {};
    await bench.dock(camera);
    await bench.expectAllStored(camera);
  });
});

describe('parts in the vault', () => {
  const stray = '.part-00000000-0000-7000-8000-000000000000';

  test('that belong to nothing are removed at the start, other files are left alone', async () => {
    const { bench, entry } = await stored();
    using _ = bench;
    const folder = dirname(join(bench.vaultFolder, entry.storedPath));
    mkdirSync(join(bench.vaultFolder, 'BC-2/2026-01-01'), { recursive: true });
    for (const path of [join(folder, stray), join(bench.vaultFolder, 'BC-2/2026-01-01', stray)]) {
      writeFileSync(path, 'left behind');
    }
    writeFileSync(join(bench.vaultFolder, 'BC-2/2026-01-01/A.MP4'), 'not ours');
    writeFileSync(join(bench.vaultFolder, '.part-not-an-id'), 'not ours');
    await bench.restart();
    expect(bench.files()).toEqual(['.part-not-an-id', 'BC-2/2026-01-01/A.MP4', entry.storedPath].sort());
  });

  test('of a pull under way survive the start, a pull without a part is forgotten', async () => {
    using bench = new VaultBench();
    const camera = new ByteCamera();
    const context = { serialNumber: 'BC-1', sessionId: bench.openSession(camera).id };
    for (const name of ['/A.MP4', '/B.MP4']) {
      const recording = camera.add(name, 1000);
      await using intake = await bench.vault.begin(recording, context, bench.signal);
      await intake?.write(camera.bytes(recording).subarray(0, 500));
    }
    const [kept, lost] = bench.files();
    rmSync(join(bench.vaultFolder, lost ?? ''));
    await bench.restart();
    expect(bench.files()).toEqual([kept]);
    expect(bench.intakes()).toBe(1);
    await bench.dock(camera);
    expect(new Set(camera.readFrom.map(({ offset }) => offset))).toEqual(new Set([0, 500]));
    await bench.expectAllStored(camera);
  });
});

describe('a stored file', () => {
  test('that is whole is verified, with a copy that removal accepts', async () => {
    const { bench, entry } = await stored();
    using _ = bench;
    const copy = await bench.vault.verify(entry, bench.signal);
    expect(copy).toMatchObject({ recordingId: entry.id, sizeBytes: 400_000, sha256: entry.sha256 });
    expect(isVerifiedCopy(copy)).toBe(true);
    expect(bench.disk.openFiles).toBe(0);
  });

  test.each([
    ['wrong in one byte', (path: string) => writeFileSync(path, 'x', { flag: 'r+' }), 'vault.file-damaged'],
    ['a byte short', (path: string) => truncateSync(path, 399_999), 'vault.file-damaged'],
    ['a byte long', (path: string) => writeFileSync(path, 'x', { flag: 'a' }), 'vault.file-damaged'],
    ['missing', (path: string) => rmSync(path), 'vault.file-missing'],
    ['elsewhere', (path: string) => renameSync(path, `${path}.bak`), 'vault.file-missing'],
  ])('that is %s gives no copy', async (_name, harm, code) => {
    const { bench, entry, path } = await stored();
    using _ = bench;
    harm(path);
    const filesBefore = bench.files();
    await expect(bench.vault.verify(entry, bench.signal)).rejects.toMatchObject({ code });
    expect(bench.files()).toEqual(filesBefore);
    expect(bench.disk.openFiles).toBe(0);
  });

  test('that is missing or of another size at the start is reported and stays in the catalogue', async () => {
    const { bench, entry, path } = await stored();
    using _ = bench;
    await bench.restart();
    expect(problems(bench)).toEqual([]);
    truncateSync(path, 10);
    await bench.restart();
    expect(problems(bench)).toEqual([{ code: 'vault.file-damaged', detail: entry.storedPath }]);
    rmSync(path);
    await bench.restart();
    expect(problems(bench)[1]).toEqual({ code: 'vault.file-missing', detail: entry.storedPath });
    expect(bench.catalogue.get(entry.id)).toEqual(entry);
  });
});

describe('a vault whose folder is gone with all it held', () => {
  test('stores nothing in its place and forgets no pull under way, as its disk may only not be mounted', async () => {
    const { bench } = await stored();
    using _ = bench;
    const camera = new ByteCamera();
    const recording = camera.add('/DCIM/B.MP4', 400_000, { startedAt: 5 });
    bench.db.plan = {
      before: () => {
        if (bench.files().length === 2) throw new DockError('vault.disk-error', 'injected');
      },
    };
    expect((await bench.dock(camera).catch((error: unknown) => ({ error }))).error).toBeDefined();
    bench.db.plan = {};
    const away = `${bench.vaultFolder}-not-mounted`;
    renameSync(bench.vaultFolder, away);
    await expect(bench.restart()).rejects.toMatchObject({ code: 'vault.not-mounted' });
    expect((await bench.dock(camera)).error).toMatchObject({ code: 'vault.not-mounted' });
    expect(bench.files()).toEqual([]);
    expect(bench.intakes()).toBe(1);
    renameSync(away, bench.vaultFolder);
    expect((await bench.dock(camera)).error).toBeUndefined();
    expect(bench.catalogue.findRecording('BC-1', recording)).toBeDefined();
    await bench.expectCatalogueAgrees();
  });
});

test('a session whose end could not be written is closed, and reported, when the next one of its bay begins', () => {
  using bench = new VaultBench();
  const camera = new ByteCamera();
  const unclosed = bench.openSession(camera);
  unclosed.count('listed', 3);
  bench.openSession(camera);
  expect(bench.db.all('SELECT outcome, listed FROM docking_session ORDER BY outcome IS NULL')).toEqual([
    { outcome: 'interrupted', listed: 3 },
    { outcome: null, listed: 0 },
  ]);
  const reports = bench.outbox.latest(10).filter(({ type }) => type === 'session-finished');
  expect(reports.map(({ data }) => data)).toMatchObject([{ sessionId: unclosed.id, unaccounted: 3 }]);
});
