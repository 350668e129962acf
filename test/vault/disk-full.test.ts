// A station runs for years until its disk is full or dying, and then every single operation is one that can fail:
// each disk operation and each database commit of a docking fails once, counted up until none is left to fail.
// Whatever failed, the catalogue agrees with the disk, nothing is proven that is not stored, and without the fault
// the next docking ends as if nothing had happened.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DockError } from '../../protocol/errors.ts';
import type { VerifiedCopy } from '../../dock/camera/verified-copy.ts';
import type { Clock } from '../../dock/clock.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import type { CommitPlan } from '../support/fault-database.ts';
import { ByteCamera } from '../support/byte-camera.ts';
import { NthFault, type DiskOperation } from '../support/fault-disk.ts';
import { VaultBench, type Docked } from './vault-bench.ts';

/** More steps than a docking has: the loop counts up to the end, not to here. */
const mostSteps = 500;

describe('after a fault at any operation of the disk', () => {
  test.each([
    ['a full disk', 'vault.disk-full', 'none', 'goes on'],
    ['a full disk that took half', 'vault.disk-full', 'half', 'restarts'],
    ['a disk error', 'vault.disk-error', 'none', 'goes on'],
    ['a disk error', 'vault.disk-error', 'none', 'restarts'],
    ['a disk error reported for what was done', 'vault.disk-error', 'all', 'goes on'],
    ['a disk error reported for what was done', 'vault.disk-error', 'all', 'restarts'],
  ] as const)('(%s, %s, effect %s), the agent %s and stores all', async (_, code, effect, then) => {
    const camera = twoRecordings();
    const seen = new Set<DiskOperation>();
    for (let n = 1; ; n++) {
      expect(n).toBeLessThan(mostSteps);
      using bench = new VaultBench({ clock: hastyClock() });
      const fault = new NthFault(n, code, effect);
      bench.disk.plan = fault;
      const docked = await bench.dock(camera);
      if (!fault.fired) {
        expect(docked).toMatchObject({ error: undefined, account: { stored: 2, unaccounted: 0 } });
        break;
      }
      seen.add(fault.fired.operation);
      const where = `${fault.fired.n} ${fault.fired.operation}`;
      bench.disk.plan = {};
      expect(bench.disk.openFiles, where).toBe(0);
      if (docked.error === undefined) {
        // After a close nothing can be lost any more, and a part that cannot be looked at is written anew.
        expect(['close', 'size'], where).toContain(fault.fired.operation);
        await bench.expectAllStored(camera);
      } else {
        expect(docked.error, where).toMatchObject({ code });
      }
      await expectProvenIsStored(bench, docked);
      expect(docked.account.stored, where).toBe(docked.copies.length);

      if (then === 'restarts') await bench.restart();
      await expectCompletes(bench, camera, where);
    }
    const always: DiskOperation[] = [
      'makeFolder',
      'size',
      'freeBytes',
      'open',
      'append',
      'sync',
      'dropCache',
    ];
    expect([...seen].sort()).toEqual([...always, 'read', 'link', 'remove', 'syncFolder', 'close'].sort());
  });

  test('of a pull that resumes, the agent goes on and stores all', async () => {
    const camera = twoRecordings();
    const seen = new Set<DiskOperation>();
    for (let n = 1; ; n++) {
      expect(n).toBeLessThan(mostSteps);
      using bench = new VaultBench({ clock: hastyClock() });
      let appends = 0;
      bench.disk.plan = {
        before: ({ operation }) => {
          if (operation === 'append' && ++appends === 2) throw new DockError('vault.disk-full', 'injected');
        },
      };
      expect((await bench.dock(camera)).error).toMatchObject({ code: 'vault.disk-full' });
      const fault = new NthFault(bench.disk.steps.length + n, 'vault.disk-error');
      bench.disk.plan = fault;
      const docked = await bench.dock(camera);
      if (!fault.fired) break;
      seen.add(fault.fired.operation);
      bench.disk.plan = {};
      expect(bench.disk.openFiles).toBe(0);
      await expectProvenIsStored(bench, docked);
      await expectCompletes(bench, camera, `${fault.fired.n} ${fault.fired.operation}`);
    }
    expect([...seen]).toContain('truncate');
  });
});

describe('after a fault at any commit of the database', () => {
  test.each([
    ['before', 'goes on'],
    ['before', 'restarts'],
    ['after', 'goes on'],
    ['after', 'restarts'],
  ] as const)('(%s it is durable), the agent %s and stores all', async (when, then) => {
    const camera = twoRecordings();
    let commits = 0;
    for (let n = 1; ; n++) {
      expect(n).toBeLessThan(mostSteps);
      using bench = new VaultBench({ clock: hastyClock() });
      let hasFired = false;
      const fail = (at: number): void => {
        if (at !== n) return;
        hasFired = true;
        throw new DockError('vault.disk-full', `injected ${when} commit ${n}`);
      };
      const docked = await pullAll(bench, camera, when === 'before' ? { before: fail } : { after: fail });
      if (!hasFired) break;
      commits++;
      expect(bench.disk.openFiles).toBe(0);
      await expectProvenIsStored(bench, docked);
      if (then === 'restarts') await bench.restart();
      await expectCompletes(bench, camera, `commit ${n}`);
    }
    // Intake, checkpoints and catalogue of each of the two.
    expect(commits).toBeGreaterThanOrEqual(6);
  });

  test('a database without room for one page more keeps what is stored and completes once it has room', async () => {
    let failures = 0;
    for (let pages = 0; ; pages++) {
      expect(pages).toBeLessThan(mostSteps);
      using bench = new VaultBench();
      const camera = new ByteCamera();
      for (const name of ['A', 'B']) camera.add(`/${name.repeat(9000)}.MP4`, 10_000);
      const log = bench.openSession(camera);
      const held = Number(bench.db.get('PRAGMA page_count')?.['page_count']);
      bench.db.get(`PRAGMA max_page_count = ${held + pages}`);
      const { copies, error } = await pullInto(bench, camera, log);
      bench.db.get('PRAGMA max_page_count = 1000000');
      await expectProvenIsStored(bench, { copies });
      await expectCompletes(bench, camera, `${pages} pages`);
      if (error === undefined) break;
      expect(error).toMatchObject({ code: 'vault.disk-full' });
      failures++;
    }
    expect(failures).toBeGreaterThan(3);
  });
});

test('a commit that was told to have failed, on a disk that fails as well, never costs a file that is catalogued', async () => {
  for (const when of ['before', 'after'] as const) {
    using bench = new VaultBench();
    const camera = twoRecordings();
    let isBroken = false;
    const fail = (): void => {
      // The catalogue is the first commit after a file was linked.
      if (isBroken || !bench.disk.steps.some(({ operation }) => operation === 'link')) return;
      isBroken = true;
      throw new DockError('vault.disk-error', 'injected');
    };
    bench.disk.plan = {
      before: ({ operation }) => {
        if (isBroken && operation === 'sync') throw new DockError('vault.disk-error', 'injected');
      },
    };
    const { error } = await pullAll(bench, camera, when === 'before' ? { before: fail } : { after: fail });
    expect(error).toMatchObject({ code: 'vault.disk-error' });
    bench.disk.plan = {};
    expect(bench.catalogue.count()).toBe(when === 'before' ? 0 : 1);
    expect(bench.files()).toHaveLength(1);
    await bench.expectCatalogueAgrees();
    await expectCompletes(bench, camera, when);
    expect(camera.readFrom.map(({ path }) => path)).toEqual(['/DCIM/A.MP4', '/DCIM/B.MP4']);
  }
});

describe('room on the disk', () => {
  const context = { serialNumber: 'BC-1' };

  test('is never promised twice to pulls that begin at the same moment', async () => {
    using bench = new VaultBench({ reserveBytes: 100 });
    // Answers only when all have asked, so that each decides with what the others were told in its hands.
    const allAsked = Promise.withResolvers<number>();
    let asked = 0;
    bench.disk.plan = {
      freeBytes: () => {
        if (++asked === 5) allAsked.resolve(1000);
        return allAsked.promise;
      },
    };
    const camera = new ByteCamera();
    const sessionId = bench.openSession(camera).id;
    const recordings = Array.from({ length: 5 }, (_, index) => camera.add(`/${index}.MP4`, 300));
    const begun = await Promise.allSettled(
      recordings.map((recording) => bench.vault.begin(recording, { ...context, sessionId }, bench.signal)),
    );
    const refused = begun.filter(({ status }) => status === 'rejected');
    expect(begun.length - refused.length).toBe(3);
    expect(refused).toMatchObject(refused.map(() => ({ reason: { code: 'vault.disk-full' } })));

    for (const result of begun) {
      if (result.status === 'fulfilled') await result.value?.[Symbol.asyncDispose]();
    }
    const again = await bench.vault.begin(recordings[4]!, { ...context, sessionId }, bench.signal);
    expect(again?.receivedBytes).toBe(0);
    await again?.[Symbol.asyncDispose]();
  });

  test('that a pull has used up already is not promised to it any more', async () => {
    using bench = new VaultBench({ clock: hastyClock() });
    const diskBytes = 1_000_000;
    bench.disk.plan = { freeBytes: () => diskBytes - usedBytes(bench) };
    const camera = new ByteCamera();
    const sessionId = bench.openSession(camera).id;
    const [first, second] = [camera.add('/A.MP4', 800_000), camera.add('/B.MP4', 150_000)];
    await using intake = await bench.vault.begin(first, { ...context, sessionId }, bench.signal);
    await expect(
      bench.vault.begin(camera.add('/C.MP4', 200_001), { ...context, sessionId }, bench.signal),
    ).rejects.toMatchObject({ code: 'vault.disk-full' });
    await intake?.write(camera.bytes(first).subarray(0, 700_000));
    await using other = await bench.vault.begin(second, { ...context, sessionId }, bench.signal);
    expect(other?.receivedBytes).toBe(0);
  });

  test('is kept free as configured: a recording that does not fit leaves no file behind', async () => {
    using bench = new VaultBench({ reserveBytes: 500 });
    bench.disk.plan = { freeBytes: () => 1000 };
    const camera = new ByteCamera();
    camera.add('/A.MP4', 500);
    camera.add('/B.MP4', 501);
    const { copies, error, account } = await bench.dock(camera);
    expect(error).toMatchObject({ code: 'vault.disk-full' });
    expect(copies).toHaveLength(1);
    expect(account).toMatchObject({ listed: 2, stored: 1, unaccounted: 1 });
    expect(bench.files()).toHaveLength(1);

    bench.disk.plan = { freeBytes: () => 1001 };
    await bench.dock(camera);
    await bench.expectAllStored(camera);
  });

  test('is made by dropping parts that nobody is working on, never one that is being pulled', async () => {
    using bench = new VaultBench({ clock: hastyClock() });
    const diskBytes = 1_000_000;
    bench.disk.plan = { freeBytes: () => diskBytes - usedBytes(bench) };
    const camera = new ByteCamera();
    const sessionId = bench.openSession(camera).id;
    const [idle, busy] = [camera.add('/IDLE.MP4', 500_000), camera.add('/BUSY.MP4', 300_000)];
    const begun = await bench.vault.begin(idle, { ...context, sessionId }, bench.signal);
    await begun?.write(camera.bytes(idle).subarray(0, 400_000));
    await begun?.[Symbol.asyncDispose]();
    await using pulling = await bench.vault.begin(busy, { ...context, sessionId }, bench.signal);
    await pulling?.write(camera.bytes(busy).subarray(0, 300_000));

    await using other = await bench.vault.begin(
      camera.add('/NEW.MP4', 600_000),
      { ...context, sessionId },
      bench.signal,
    );
    expect(other?.receivedBytes).toBe(0);
    await expect(bench.vault.begin(idle, { ...context, sessionId }, bench.signal)).rejects.toMatchObject({
      code: 'vault.disk-full',
    });
    await pulling?.commit('unknown', bench.signal);
  });

  test('for a resumed recording is only what it still lacks', async () => {
    using bench = new VaultBench({ clock: hastyClock() });
    const camera = new ByteCamera({ chunkBytes: 300_000 });
    camera.add('/A.MP4', 700_000);
    const diskBytes = 800_000;
    let appends = 0;
    bench.disk.plan = {
      freeBytes: () => diskBytes - usedBytes(bench),
      before: ({ operation }) => {
        if (operation === 'append' && ++appends === 2) throw new DockError('vault.disk-full', 'injected');
      },
    };
    expect((await bench.dock(camera)).error).toMatchObject({ code: 'vault.disk-full' });
    expect((await bench.dock(camera)).error).toBeUndefined();
    await bench.expectAllStored(camera);
  });
});

function twoRecordings(): ByteCamera {
  const camera = new ByteCamera({ chunkBytes: 300_000 });
  camera.add('/DCIM/A.MP4', 400_000);
  camera.add('/DCIM/B.MP4', 1000);
  return camera;
}

/** A clock on which a checkpoint is always due. */
function hastyClock(): Clock {
  let ms = 0;
  return { ...systemClock, monotonic: () => (ms += 20_000) };
}

/** Pulls all, with the commits of the pulls failing by plan; the session itself is written without a fault. */
async function pullAll(
  bench: VaultBench,
  camera: ByteCamera,
  plan: CommitPlan,
): Promise<Pick<Docked, 'copies' | 'error'>> {
  const log = bench.openSession(camera);
  bench.db.commits = 0;
  bench.db.plan = plan;
  const result = await pullInto(bench, camera, log);
  bench.db.plan = {};
  return result;
}

async function pullInto(
  bench: VaultBench,
  camera: ByteCamera,
  log: ReturnType<VaultBench['openSession']>,
): Promise<Pick<Docked, 'copies' | 'error'>> {
  const copies: VerifiedCopy[] = [];
  try {
    for await (const recording of camera.recordings()) {
      const copy = await bench.pull(camera, recording, log);
      if (copy) copies.push(copy);
    }
  } catch (error) {
    return { copies, error };
  }
  return { copies, error: undefined };
}

async function expectProvenIsStored(bench: VaultBench, { copies }: Pick<Docked, 'copies'>): Promise<void> {
  for (const copy of copies) {
    expect(bench.catalogue.get(copy.recordingId)).toMatchObject({ sha256: copy.sha256 });
  }
  await bench.expectCatalogueAgrees();
}

async function expectCompletes(bench: VaultBench, camera: ByteCamera, where: string): Promise<void> {
  const { error, account } = await bench.dock(camera);
  expect(error, where).toBeUndefined();
  expect(account, where).toMatchObject({ listed: 2, unaccounted: 0 });
  await bench.expectAllStored(camera);
  expect(bench.disk.openFiles, where).toBe(0);
}

function usedBytes(bench: VaultBench): number {
  return bench.files().reduce((sum, path) => sum + statSync(join(bench.vaultFolder, path)).size, 0);
}
