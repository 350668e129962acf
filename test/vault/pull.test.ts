// A camera can be swapped, lie about a size, stall or deliver other bytes than it recorded. Whatever it does, nothing
// is stored that it did not prove, and what was received in good order is not asked for again.
import { describe, expect, test } from 'vitest';
import { DockError } from '../../protocol/errors.ts';
import type { ListedRecording } from '../../dock/camera/camera.ts';
import { pullRecording } from '../../agent/ingest/pull.ts';
import { ByteCamera, type ByteCameraOptions } from '../support/byte-camera.ts';
import { VaultBench } from './vault-bench.ts';

/** The same bytes with one of them changed. */
const damaged = (chunk: Uint8Array): Uint8Array => chunk.with(7, (chunk[7] ?? 0) ^ 1);

function cameraWith(
  options: ByteCameraOptions,
  fields: Partial<ListedRecording> = {},
): { camera: ByteCamera; recording: ListedRecording } {
  const camera = new ByteCamera(options);
  return { camera, recording: camera.add('/DCIM/A.MP4', 450_000, fields) };
}

function withoutDigest(recording: ListedRecording): ListedRecording {
  const { sha256: _digest, ...rest } = recording;
  return rest;
}

describe('bytes that are not those of the digest', () => {
  test.each([
    ['that the camera lists', true],
    ['that the camera computes', false],
  ])('%s are thrown away and read again from the start', async (_name, isListed) => {
    using bench = new VaultBench();
    let isBad = true;
    const { camera, recording } = cameraWith({
      computesDigest: !isListed,
      onRead: (chunk) => (isBad ? damaged(chunk) : chunk),
    });
    const asked = isListed ? recording : withoutDigest(recording);
    const log = bench.openSession(camera);
    await expect(bench.pull(camera, asked, log)).rejects.toMatchObject({ code: 'recording.digest-mismatch' });
    expect([bench.catalogue.count(), bench.files(), bench.intakes()]).toEqual([0, [], 0]);
    isBad = false;
    await bench.pull(camera, asked, log);
    expect(camera.readFrom.map(({ offset }) => offset)).toEqual([0, 0]);
    await bench.expectAllStored(camera);
  });

  test.each([
    ['listed', true, false],
    ['computed', false, true],
    ['unknown', false, false],
  ])(
    'would have been found out: the event says that the digest is %s',
    async (expected, isListed, computesDigest) => {
      using bench = new VaultBench();
      const { camera, recording } = cameraWith({ computesDigest });
      await bench.pull(camera, isListed ? recording : withoutDigest(recording), bench.openSession(camera));
      expect(bench.outbox.latest(1)).toMatchObject([
        { type: 'recording-stored', data: { cameraDigest: expected, sha256: recording.sha256 } },
      ]);
    },
  );
});

describe('a camera', () => {
  test('that was swapped before the end leaves nothing stored and nothing to resume', async () => {
    using bench = new VaultBench();
    const { camera, recording } = cameraWith({
      onRead: (chunk) => {
        camera.answersAs = 'BC-2';
        return chunk;
      },
    });
    await expect(bench.pull(camera, recording, bench.openSession(camera))).rejects.toMatchObject({
      code: 'camera.identity-changed',
    });
    expect([bench.catalogue.count(), bench.files(), bench.intakes()]).toEqual([0, [], 0]);
  });

  test.each([
    ['more', 449_999],
    ['fewer', 450_001],
  ])('that delivers %s bytes than it listed gets nothing stored', async (_name, sizeBytes) => {
    using bench = new VaultBench();
    const { camera, recording } = cameraWith({}, { sizeBytes });
    await expect(bench.pull(camera, recording, bench.openSession(camera))).rejects.toMatchObject({
      code: 'recording.size-mismatch',
    });
    expect(bench.catalogue.count()).toBe(0);
    await bench.expectCatalogueAgrees();
  });

  test('that delivers without end is not listened to beyond the size it listed', async () => {
    using bench = new VaultBench();
    const offsets: number[] = [];
    const { camera, recording } = cameraWith(
      {
        chunkBytes: 100,
        onRead: (chunk, offset) => {
          offsets.push(offset);
          return chunk;
        },
      },
      { sizeBytes: 250 },
    );
    await expect(bench.pull(camera, recording, bench.openSession(camera))).rejects.toMatchObject({
      code: 'recording.size-mismatch',
    });
    expect(offsets).toEqual([0, 100, 200]);
  });

  test('whose link breaks is asked only for what is still missing', async () => {
    using bench = new VaultBench();
    let isBroken = true;
    const { camera, recording } = cameraWith({
      onRead: (chunk, offset) => {
        if (isBroken && offset === 300_000) throw new DockError('link.closed');
        return chunk;
      },
    });
    const log = bench.openSession(camera);
    await expect(bench.pull(camera, recording, log)).rejects.toMatchObject({ code: 'link.closed' });
    isBroken = false;
    await bench.pull(camera, recording, log);
    expect(camera.readFrom.map(({ offset }) => offset)).toEqual([0, 300_000]);
    await bench.expectAllStored(camera);
  });

  test('without digests resumes within its session, and starts over in another: it may be another recording', async () => {
    using bench = new VaultBench();
    const breaksAt = [200_000, 300_000];
    const { camera, recording } = cameraWith({
      onRead: (chunk, offset) => {
        if (offset !== breaksAt[0]) return chunk;
        breaksAt.shift();
        throw new DockError('link.closed');
      },
    });
    const undigested = withoutDigest(recording);
    const first = bench.openSession(camera);
    for (const log of [first, first]) {
      await expect(bench.pull(camera, undigested, log)).rejects.toMatchObject({ code: 'link.closed' });
    }
    await bench.pull(camera, undigested, bench.openSession(camera));
    expect(camera.readFrom.map(({ offset }) => offset)).toEqual([0, 200_000, 0]);
    await bench.expectAllStored(camera);
  });

  test('is left in the middle of a recording when the agent stops, and nothing received is lost', async () => {
    using bench = new VaultBench();
    const stopping = new AbortController();
    const { camera, recording } = cameraWith({
      onRead: (chunk, offset) => {
        if (offset === 200_000) stopping.abort(new DockError('internal.stopping'));
        return chunk;
      },
    });
    const log = bench.openSession(camera);
    const request = {
      camera,
      vault: bench.vault,
      recording,
      context: { serialNumber: 'BC-1', sessionId: log.id },
      signal: stopping.signal,
    };
    const progress: number[] = [];
    await expect(
      pullRecording({ ...request, onProgress: (bytes) => progress.push(bytes) }),
    ).rejects.toMatchObject({ code: 'internal.stopping' });
    expect(progress).toEqual([0, 100_000, 200_000, 300_000]);
    await bench.restart();
    await bench.pull(camera, recording, log);
    expect(camera.readFrom.map(({ offset }) => offset)).toEqual([0, 300_000]);
    await bench.expectAllStored(camera);
  });
});
