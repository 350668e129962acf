// The commit rule is what stands between a recording and its loss: these tests watch the real disk do each step of
// it in its order, and show that no step can be left out, faked or repeated where repeating proves nothing.
import { appendFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import { DockError } from '../../protocol/errors.ts';
import type { ListedRecording } from '../../dock/camera/camera.ts';
import { isVerifiedCopy } from '../../dock/camera/verified-copy.ts';
import type { Clock } from '../../dock/clock.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { isPart } from '../../agent/vault/intake-row.ts';
import { safeName } from '../../agent/vault/safe-name.ts';
import type { Intake, IntakeContext } from '../../agent/vault/intake.ts';
import { ByteCamera } from '../support/byte-camera.ts';
import type { DiskOperation, DiskPlan, DiskStep } from '../support/fault-disk.ts';
import { VaultBench } from './vault-bench.ts';

describe('a recording that is stored', () => {
  test('is written, synced, read back, linked and its folder synced before the catalogue knows it', async () => {
    using bench = new VaultBench();
    const camera = new ByteCamera({ chunkBytes: 300_000 });
    const recording = camera.add('/DCIM/A.MP4', 700_000);
    const log = bench.openSession(camera);
    const countAt = new Map<DiskStep, number>();
    bench.disk.plan = { after: (step) => countAt.set(step, bench.catalogue.count()) };
    await bench.pull(camera, recording, log);

    const steps = bench.disk.steps;
    const fromOpen = steps.slice(steps.findIndex(({ operation }) => operation === 'open'));
    expect(fromOpen.map(({ operation }) => operation)).toEqual([
      'open',
      'append',
      'append',
      'append',
      'sync',
      'dropCache',
      'read',
      'read',
      'remove',
      'open',
      'append',
      'sync',
      'close',
      'link',
      'remove',
      'syncFolder',
      'close',
    ]);
    const stored = join(
      bench.vaultFolder,
      bench.catalogue.findRecording('BC-1', recording)?.storedPath ?? '',
    );
    const part = fromOpen[0]?.path ?? '';
    expect(part).toMatch(/\/\.part-[0-9a-f-]{36}$/);
    const pathOf = (name: string): string[] =>
      fromOpen.filter(({ operation }) => operation === name).map(({ path }) => path);
    const sidecar = `${stored}.json`;
    expect(pathOf('append')).toEqual([part, part, part, sidecar]);
    expect(pathOf('sync')).toEqual([part, sidecar]);
    expect(new Set([...pathOf('dropCache'), ...pathOf('read')])).toEqual(new Set([part]));
    // One sync of the folder, after both names are in it.
    expect([pathOf('link'), pathOf('remove'), pathOf('syncFolder')]).toEqual([
      [stored],
      [sidecar, part],
      [dirname(stored)],
    ]);
    const counts = fromOpen.map((step) => countAt.get(step));
    expect(counts).toEqual([...Array.from({ length: 16 }, () => 0), 1]);
  });

  test('is noted as durable only as far as it was synced', async () => {
    using bench = new VaultBench({ clock: hastyClock() });
    const camera = new ByteCamera({ chunkBytes: 300_000 });
    const recording = camera.add('/DCIM/A.MP4', 700_000);
    const log = bench.openSession(camera);
    const noted: unknown[] = [];
    bench.disk.plan = {
      before: ({ operation, path }) => {
        if (operation === 'sync' && isPart(path))
          noted.push(bench.db.get('SELECT durable_bytes FROM intake')?.['durable_bytes']);
      },
    };
    await bench.pull(camera, recording, log);
    // A sync after each chunk, and the one of the commit rule.
    expect(noted).toEqual([0, 300_000, 600_000, 700_000]);
  });

  test('is proven by a copy that names id, size and digest of what lies in the vault', async () => {
    using bench = new VaultBench();
    const camera = new ByteCamera();
    const recording = camera.add('/DCIM/A.MP4', 123_456);
    const { copies } = await bench.dock(camera);
    const entry = bench.catalogue.findRecording('BC-1', recording);
    expect(copies).toMatchObject([{ recordingId: entry?.id, sizeBytes: 123_456, sha256: recording.sha256 }]);
    expect(copies.every(isVerifiedCopy)).toBe(true);
    await bench.expectAllStored(camera);
  });

  test('may be empty', async () => {
    using bench = new VaultBench();
    const camera = new ByteCamera();
    camera.add('/DCIM/EMPTY.MP4', 0);
    const { copies, account } = await bench.dock(camera);
    expect(copies).toMatchObject([{ sizeBytes: 0 }]);
    expect(account).toMatchObject({ listed: 1, stored: 1, unaccounted: 0, storedBytes: 0 });
    await bench.expectAllStored(camera);
  });

  test('may state its size as a bigint', async () => {
    using bench = new VaultBench();
    const camera = new ByteCamera();
    camera.add('/DCIM/A.MP4', 70_000, { sizeBytes: 70_000n });
    const { copies } = await bench.dock(camera);
    expect(copies).toMatchObject([{ sizeBytes: 70_000 }]);
    await bench.expectAllStored(camera);
    expect((await bench.dock(camera)).account).toMatchObject({ held: 1, stored: 0 });
  });
});

describe('a disk that lies', () => {
  test('about one bit is found out by the read-back: no copy, no row, no file', async () => {
    using bench = new VaultBench();
    const camera = new ByteCamera();
    const recording = camera.add('/DCIM/A.MP4', 300_000);
    const log = bench.openSession(camera);
    bench.disk.plan = {
      onAppend: (bytes) => {
        const damaged = new Uint8Array(bytes);
        damaged[200_001] = (damaged[200_001] ?? 0) ^ 1;
        return damaged;
      },
    };
    await expect(bench.pull(camera, recording, log)).rejects.toMatchObject({
      code: 'vault.read-back-mismatch',
    });
    expect(bench.catalogue.count()).toBe(0);
    expect(bench.files()).toEqual([]);
    expect(bench.intakes()).toBe(0);
    expect(bench.disk.openFiles).toBe(0);

    bench.disk.plan = {};
    expect(await bench.pull(camera, recording, log)).toMatchObject({ sha256: recording.sha256 });
    expect(camera.readFrom.map(({ offset }) => offset)).toEqual([0, 0]);
    await bench.expectAllStored(camera);
  });

  test('about the last bytes is found out too', async () => {
    using bench = new VaultBench();
    const camera = new ByteCamera();
    const recording = camera.add('/DCIM/A.MP4', 300_000);
    const log = bench.openSession(camera);
    bench.disk.plan = { onAppend: (bytes) => bytes.subarray(0, -1) };
    await expect(bench.pull(camera, recording, log)).rejects.toMatchObject({
      code: 'vault.read-back-mismatch',
    });
    expect([bench.catalogue.count(), bench.files(), bench.intakes()]).toEqual([0, [], 0]);
  });
});

describe('a sync that failed', () => {
  test.each(['vault.disk-error', 'vault.disk-full'] as const)(
    'of the file, with %s, is never tried again on that part',
    async (code) => {
      using bench = new VaultBench();
      const camera = new ByteCamera();
      const recording = camera.add('/DCIM/A.MP4', 300_000);
      const log = bench.openSession(camera);
      bench.disk.plan = failAll('sync', code);
      await expect(bench.pull(camera, recording, log)).rejects.toMatchObject({ code });
      expect(bench.disk.steps.filter(({ operation }) => operation === 'sync')).toHaveLength(1);
      expect([bench.catalogue.count(), bench.files(), bench.intakes()]).toEqual([0, [], 0]);

      bench.disk.plan = {};
      await bench.pull(camera, recording, log);
      expect(camera.readFrom.map(({ offset }) => offset)).toEqual([0, 0]);
      await bench.expectAllStored(camera);
    },
  );

  test('in the middle of a recording throws away what earlier syncs made durable', async () => {
    using bench = new VaultBench({ clock: hastyClock() });
    const camera = new ByteCamera({ chunkBytes: 300_000 });
    const recording = camera.add('/DCIM/A.MP4', 700_000);
    const log = bench.openSession(camera);
    let syncs = 0;
    bench.disk.plan = {
      before: ({ operation }) => {
        if (operation === 'sync' && ++syncs === 2) throw new DockError('vault.disk-error', 'injected');
      },
    };
    await expect(bench.pull(camera, recording, log)).rejects.toMatchObject({ code: 'vault.disk-error' });
    expect([syncs, bench.files(), bench.intakes()]).toEqual([2, [], 0]);
    await bench.pull(camera, recording, log);
    expect(camera.readFrom.map(({ offset }) => offset)).toEqual([0, 0]);
  });

  test.each(['vault.disk-error', 'vault.disk-full'] as const)(
    'of the folder, with %s, throws the linked file away: its name may not survive',
    async (code) => {
      using bench = new VaultBench();
      const camera = new ByteCamera();
      const recording = camera.add('/DCIM/A.MP4', 300_000);
      const log = bench.openSession(camera);
      bench.disk.plan = failAll('syncFolder', code);
      await expect(bench.pull(camera, recording, log)).rejects.toMatchObject({ code });
      expect(bench.disk.steps.filter(({ operation }) => operation === 'syncFolder')).toHaveLength(1);
      expect([bench.catalogue.count(), bench.files(), bench.intakes()]).toEqual([0, [], 0]);

      bench.disk.plan = {};
      await bench.pull(camera, recording, log);
      await bench.expectAllStored(camera);
    },
  );

  test('on a disk that removes nothing either leaves a part that the next try does not trust', async () => {
    using bench = new VaultBench({ clock: hastyClock() });
    const camera = new ByteCamera({ chunkBytes: 300_000 });
    const recording = camera.add('/DCIM/A.MP4', 700_000);
    const log = bench.openSession(camera);
    let removals = 0;
    bench.disk.plan = {
      before: ({ operation }) => {
        if (operation === 'syncFolder' || (operation === 'remove' && ++removals > 2))
          throw new DockError('vault.disk-error', 'injected');
      },
    };
    const pulling = bench.pull(camera, recording, log);
    await expect(pulling).rejects.toMatchObject({ code: 'vault.disk-error' });
    expect(bench.files()).toHaveLength(2);
    bench.disk.plan = {};
    await bench.pull(camera, recording, log);
    expect(camera.readFrom.map(({ offset }) => offset)).toEqual([0, 0]);
    await bench.expectAllStored(camera);
    expect(bench.eventTypes()).not.toContain('vault-file-adopted');
  });
});

describe('a pull that was interrupted', () => {
  /** Receives the first 300,000 of 700,000 bytes and stops in order. */
  async function interrupted(bench: VaultBench): Promise<Interrupted> {
    const camera = new ByteCamera();
    const recording = camera.add('/DCIM/A.MP4', 700_000);
    const context = { serialNumber: 'BC-1', sessionId: bench.openSession(camera).id };
    {
      await using intake = await begin(bench, recording, context);
      await intake.write(camera.bytes(recording).subarray(0, 300_000));
    }
    const part = bench.files()[0] ?? '';
    expect(part).toMatch(/\.part-/);
    return { camera, recording, context, part: join(bench.vaultFolder, part) };
  }

  async function resumesAt({ camera, recording, context }: Interrupted, bench: VaultBench): Promise<number> {
    let receivedBytes: number;
    {
      await using intake = await begin(bench, recording, context);
      receivedBytes = intake.receivedBytes;
      await intake.write(camera.bytes(recording).subarray(receivedBytes));
      const copy = await intake.commit('listed', bench.signal);
      expect(copy.sha256).toBe(recording.sha256);
    }
    await bench.expectAllStored(camera);
    expect(bench.disk.openFiles).toBe(0);
    return receivedBytes;
  }

  test('goes on at the last durable byte, also after a restart', async () => {
    using bench = new VaultBench();
    const pull = await interrupted(bench);
    await bench.restart();
    expect(await resumesAt(pull, bench)).toBe(300_000);
  });

  test('goes on at the last durable byte when more than that is in the part', async () => {
    using bench = new VaultBench();
    const pull = await interrupted(bench);
    appendFileSync(pull.part, 'bytes that were never noted as durable');
    expect(await resumesAt(pull, bench)).toBe(300_000);
  });

  test.each([
    ['shortened', (part: string) => truncateSync(part, 299_999)],
    ['damaged', (part: string) => writeFileSync(part, 'x', { flag: 'r+' })],
    ['missing', (part: string) => rmSync(part)],
    ['replaced by one as long', (part: string) => writeFileSync(part, new Uint8Array(300_000))],
  ])('starts over when its part is %s', async (_, harm) => {
    using bench = new VaultBench();
    const pull = await interrupted(bench);
    harm(pull.part);
    expect(await resumesAt(pull, bench)).toBe(0);
  });

  test('starts over when its part cannot be read', async () => {
    using bench = new VaultBench();
    const pull = await interrupted(bench);
    let isFirst = true;
    bench.disk.plan = {
      before: ({ operation }) => {
        if (operation !== 'read' || !isFirst) return;
        isFirst = false;
        throw new DockError('vault.disk-error', 'injected: unreadable sector');
      },
    };
    expect(await resumesAt(pull, bench)).toBe(0);
  });

  test('by a full disk goes on at the last checkpoint', async () => {
    using bench = new VaultBench({ clock: hastyClock() });
    const camera = new ByteCamera({ chunkBytes: 300_000 });
    const recording = camera.add('/DCIM/A.MP4', 700_000);
    let appended = 0;
    bench.disk.plan = {
      before: ({ operation }) => {
        if (operation === 'append' && ++appended === 2) throw new DockError('vault.disk-full', 'injected');
      },
    };
    const log = bench.openSession(camera);
    await expect(bench.pull(camera, recording, log)).rejects.toMatchObject({ code: 'vault.disk-full' });
    await bench.pull(camera, recording, log);
    expect(camera.readFrom.map(({ offset }) => offset)).toEqual([0, 300_000]);
    await bench.expectAllStored(camera);
  });

  test('is not resumed by a second pull while the first still runs', async () => {
    using bench = new VaultBench();
    const camera = new ByteCamera();
    const recording = camera.add('/DCIM/A.MP4', 700_000);
    const context = { serialNumber: 'BC-1', sessionId: bench.openSession(camera).id };
    await using intake = await begin(bench, recording, context);
    await expect(begin(bench, recording, context)).rejects.toMatchObject({ code: 'internal.bug' });
    await intake.write(camera.bytes(recording));
    expect(await intake.commit('listed', bench.signal)).toMatchObject({ sha256: recording.sha256 });
    await bench.expectAllStored(camera);
  });
});

describe('a verified copy', () => {
  test('comes from the vault alone: a cast, a copy of one and an heir are refused', async () => {
    using bench = new VaultBench();
    const camera = new ByteCamera();
    camera.add('/DCIM/A.MP4', 1000);
    const real = (await bench.dock(camera)).copies[0];
    if (!real) throw new Error('no copy');
    const { recordingId, sizeBytes, sha256 } = real;
    const forged: readonly unknown[] = [
      { recordingId, sizeBytes, sha256 },
      { recordingId, sizeBytes, sha256, '#attested': true },
      Object.assign({}, real),
      structuredClone(real),
      Object.create(real),
      Object.setPrototypeOf({ recordingId, sizeBytes, sha256 }, Object.getPrototypeOf(real)),
      new Proxy(real, {}),
      null,
      undefined,
      recordingId,
    ];
    expect(forged.map(isVerifiedCopy)).toEqual(forged.map(() => false));
    expect(isVerifiedCopy(real)).toBe(true);
  });
});

describe('a name from a camera', () => {
  const hostileNames = [
    'A.MP4',
    'a.mp4',
    'A.mp4',
    '../../../../etc/cron.d/evil',
    '..',
    '.',
    '',
    '/',
    '....',
    '.part-00000000-0000-7000-8000-000000000000',
    '/DCIM/../../../B.MP4',
    'C:\\DCIM\\..\\..\\B.MP4',
    'line\nfeed\r\t\u001b[2J\u007f.MP4',
    'before\0after.MP4',
    '\0',
    `${'x'.repeat(10_000)}.MP4`,
    '/'.repeat(10_000),
    'Ж'.repeat(10_000),
    `A.${'e'.repeat(300)}`,
    '📹🚔.MP4',
    '-rf',
    '~root',
    '%2e%2e%2f',
    '‮4PM.exe',
    'CON',
    'A.MP4.',
    ' ',
  ];

  test.each([100, 0])('is stored inside the vault and kept as read, %d bytes', async (sizeBytes) => {
    using bench = new VaultBench();
    const camera = new ByteCamera();
    for (const name of hostileNames) camera.add(name, sizeBytes);
    const { copies, error } = await bench.dock(camera);
    expect([copies.length, error]).toEqual([hostileNames.length, undefined]);
    await bench.expectAllStored(camera);
    expect(
      bench.catalogue
        .page({ limit: 1000 })
        .map(({ path }) => path)
        .sort(),
    ).toEqual(hostileNames.toSorted());
    for (const path of bench.files())
      expect(path).toMatch(/^BC-1\/\d{4}-\d\d-\d\d\/[A-Za-z0-9][A-Za-z0-9._-]+$/);
    const ignoringCase = new Set(bench.files().map((path) => path.toLowerCase()));
    expect(ignoringCase.size).toBe(hostileNames.length);
  });

  test('becomes a short plain name that stays in its folder, whatever it is', () => {
    const uniqueId = '0123456789ab';
    const anyPath = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 3000 }),
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.string({ unit: fc.constantFrom('/', '\\', '.', '..', '\0', '\n', 'a', '-', '_', ' ', 'é') }),
      fc.constantFrom(...hostileNames),
    );
    fc.assert(
      fc.property(anyPath, (path) => {
        const name = safeName(path, uniqueId);
        expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
        expect(Buffer.byteLength(name)).toBeLessThan(200);
        expect(name).toContain(uniqueId);
        const joined = join('/vault/BC-1/2026-11-22', name);
        expect(relative('/vault/BC-1/2026-11-22', joined)).toBe(name);
      }),
      { numRuns: 2000 },
    );
  });

  test('keeps the stem and extension that people know', () => {
    expect(safeName('/DCIM/100MEDIA/REC_0042.MP4', 'id')).toBe('REC_0042-id.MP4');
    expect(safeName('D:\\rec\\a.b.mov', 'id')).toBe('a.b-id.mov');
    expect(safeName('', 'id')).toBe('recording-id');
  });
});

interface Interrupted {
  readonly camera: ByteCamera;
  readonly recording: ListedRecording;
  readonly context: IntakeContext;
  readonly part: string;
}

async function begin(bench: VaultBench, recording: ListedRecording, context: IntakeContext): Promise<Intake> {
  const intake = await bench.vault.begin(recording, context, bench.signal);
  if (!intake) throw new Error('already stored');
  return intake;
}

/** A clock on which a checkpoint is always due. */
function hastyClock(): Clock {
  let ms = 0;
  return { ...systemClock, monotonic: () => (ms += 20_000) };
}

function failAll(failing: DiskOperation, code: ErrorCode): DiskPlan {
  return {
    before: ({ operation, path }) => {
      if (operation === failing) throw new DockError(code, `injected at ${operation} ${path}`);
    },
  };
}
