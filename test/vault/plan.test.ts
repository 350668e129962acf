// The plan decides what happens to each recording that a camera lists, and its list can say anything: an entry
// without a step would be a gap in the account, an entry with two would be pulled or counted twice.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ListedRecording, RecordingKind } from '../../dock/camera/camera.ts';
import { planIngest, type PlanStep } from '../../agent/ingest/plan.ts';
import { instantOf, parsePtpDate } from '../../protocol/ptp/datetime.ts';
import { sourceKeyOf, type CatalogueEntry } from '../../agent/vault/catalogue.ts';
import { ByteCamera } from '../support/byte-camera.ts';
import { VaultBench } from './vault-bench.ts';

const maxRecordingBytes = 2 ** 40;

function recordingOf(fields: Partial<ListedRecording> & { id: string }): ListedRecording {
  return { path: `/${fields.id}.MP4`, sizeBytes: 1000, kind: 'video', isProtected: false, ...fields };
}

function planOf(listed: readonly ListedRecording[], find: PlanFind = () => undefined): PlanStep[] {
  return planIngest({ serialNumber: 'BC-1', listed, maxRecordingBytes, find });
}

type PlanFind = Parameters<typeof planIngest>[0]['find'];

const ids = (steps: readonly PlanStep[]): string[] => steps.map(({ recording }) => recording.id);

function codes(steps: readonly PlanStep[]): Record<string, string> {
  return Object.fromEntries(
    steps.map((step) => [step.recording.id, step.kind === 'refuse' ? step.code : step.kind]),
  );
}

describe('the order of pulling', () => {
  test('is protected first, then the oldest, then those without a time by path', () => {
    const listed = [
      recordingOf({ id: 'no-time-b', path: '/b' }),
      recordingOf({ id: 'new', startedAt: 3000 }),
      recordingOf({ id: 'protected-no-time', isProtected: true }),
      recordingOf({ id: 'no-time-a', path: '/a' }),
      recordingOf({ id: 'ended-only', endedAt: 2000 }),
      recordingOf({ id: 'old', startedAt: 1000, endedAt: 9000 }),
      recordingOf({ id: 'protected-new', isProtected: true, startedAt: 5000 }),
      recordingOf({ id: 'before-1970', startedAt: -1 }),
      recordingOf({ id: 'protected-old', isProtected: true, startedAt: 4000 }),
    ];
    const expected = [
      'protected-old',
      'protected-new',
      'protected-no-time',
      'before-1970',
      'old',
      'ended-only',
      'new',
      'no-time-a',
      'no-time-b',
    ];
    expect(ids(planOf(listed))).toEqual(expected);
    expect(ids(planOf(listed.toReversed()))).toEqual(expected);
  });
});

describe('an entry that cannot be right', () => {
  test('is refused when it repeats an id or a recording, and the first of them is pulled', () => {
    const first = recordingOf({ id: '1', path: '/A', startedAt: 1 });
    const sameId = recordingOf({ id: '1', path: '/B', startedAt: 2 });
    const sameRecording = recordingOf({ id: '2', path: '/A', startedAt: 1 });
    const otherDigest = recordingOf({ id: '3', path: '/A', startedAt: 1, sha256: 'f'.repeat(64) });
    const other = recordingOf({ id: '4', path: '/A', startedAt: 2 });
    const steps = planOf([first, sameId, sameRecording, otherDigest, other]);
    const pulled = steps.filter(({ kind }) => kind === 'pull').map(({ recording }) => recording);
    expect(pulled).toEqual([first, other]);
    const refused = steps.filter((step) => step.kind === 'refuse');
    expect(refused).toHaveLength(3);
    expect(refused.every(({ code }) => code === 'recording.duplicate-entry')).toBe(true);
  });

  test('is refused when it states more bytes than any recording has', () => {
    const steps = planOf([
      recordingOf({ id: 'largest', sizeBytes: maxRecordingBytes }),
      recordingOf({ id: 'one-more', sizeBytes: maxRecordingBytes + 1 }),
      recordingOf({ id: 'bigint', sizeBytes: 2n ** 64n - 1n }),
      recordingOf({ id: 'small-bigint', sizeBytes: 17n }),
      recordingOf({ id: 'empty', sizeBytes: 0 }),
    ]);
    expect(codes(steps)).toEqual({
      largest: 'pull',
      'one-more': 'recording.too-large',
      bigint: 'recording.too-large',
      'small-bigint': 'pull',
      empty: 'pull',
    });
  });

  test('is refused when it could not be read, and its other fields count for nothing', () => {
    const steps = planOf([
      recordingOf({ id: 'A', path: '/A', defect: 'size: expected number' }),
      recordingOf({ id: 'A', path: '/A' }),
    ]);
    expect(steps.map(({ kind }) => kind).sort()).toEqual(['pull', 'refuse']);
    expect(steps.find(({ kind }) => kind === 'refuse')).toMatchObject({
      code: 'recording.unreadable-entry',
      recording: { defect: 'size: expected number' },
    });
  });
});

describe('a recording that is stored', () => {
  async function stored(): Promise<{
    bench: VaultBench;
    recording: ListedRecording;
    find: PlanFind;
  }> {
    const bench = new VaultBench();
    const camera = new ByteCamera();
    const recording = camera.add('/DCIM/A.MP4', 5000);
    await bench.dock(camera);
    return { bench, recording, find: (key, sha256) => bench.catalogue.find(key, sha256) };
  }

  test('is held when the camera lists the digest we have, under whatever id', async () => {
    const { bench, recording, find } = await stored();
    using _ = bench;
    expect(planOf([{ ...recording, id: 'another' }], find)).toMatchObject([
      { kind: 'held', entry: { path: '/DCIM/A.MP4', sha256: recording.sha256 } },
    ]);
  });

  test('is held when the camera lists no digest', async () => {
    const { bench, recording, find } = await stored();
    using _ = bench;
    const { sha256: _digest, ...withoutDigest } = recording;
    expect(planOf([withoutDigest], find)).toMatchObject([{ kind: 'held' }]);
  });

  test('is held when its size comes as a bigint', async () => {
    const { bench, recording, find } = await stored();
    using _ = bench;
    expect(planOf([{ ...recording, sizeBytes: 5000n }], find)).toMatchObject([{ kind: 'held' }]);
  });

  test('is pulled again when the camera lists another digest for it', async () => {
    const { bench, recording, find } = await stored();
    using _ = bench;
    expect(planOf([{ ...recording, sha256: 'f'.repeat(64) }], find)).toMatchObject([{ kind: 'pull' }]);
  });

  test.each([
    ['path', { path: '/DCIM/a.MP4' }],
    ['size', { sizeBytes: 5001 }],
    ['start', { startedAt: 1 }],
    ['end', { endedAt: 1 }],
  ])('is not taken for one that differs in its %s', async (_name, difference) => {
    const { bench, recording, find } = await stored();
    using _ = bench;
    expect(planOf([{ ...recording, ...difference }], find)).toMatchObject([{ kind: 'pull' }]);
  });

  test('is not taken for the same recording of another camera', async () => {
    const { bench, recording, find } = await stored();
    using _ = bench;
    const steps = planIngest({ serialNumber: 'BC-2', listed: [recording], maxRecordingBytes, find });
    expect(steps).toMatchObject([{ kind: 'pull' }]);
  });
});

test('every listed recording gets exactly one step, and protected ones come first', () => {
  const few = fc.constantFrom('a', 'b', 'c');
  const time = fc.option(fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double()), { nil: undefined });
  const listedArbitrary = fc.array(
    fc
      .record({
        id: few,
        path: fc.oneof(few, fc.string()),
        sizeBytes: fc.oneof(fc.nat({ max: 3 }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.maxSafeNat()),
        kind: fc.constantFrom<RecordingKind>('video', 'audio', 'photo', 'other'),
        isProtected: fc.boolean(),
        startedAt: time,
        endedAt: time,
        sha256: fc.option(fc.constantFrom('d1', 'd2'), { nil: undefined }),
        defect: fc.option(fc.constant('broken'), { nil: undefined }),
      })
      .map(({ startedAt, endedAt, sha256, defect, ...rest }): ListedRecording => ({
        ...rest,
        ...(startedAt !== undefined && { startedAt }),
        ...(endedAt !== undefined && { endedAt }),
        ...(sha256 !== undefined && { sha256 }),
        ...(defect !== undefined && { defect }),
      })),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(listedArbitrary, (listed) => {
      const before = [...listed];
      const find: PlanFind = (key) => (key < '8' ? ({ id: key } as CatalogueEntry) : undefined);
      const steps = planOf(listed, find);
      expect(listed).toEqual(before);
      expect(steps).toHaveLength(listed.length);
      expect(new Set(steps.map(({ recording }) => recording))).toEqual(new Set(listed));
      const isProtected = steps.map(({ recording }) => recording.isProtected);
      expect(isProtected).toEqual(isProtected.toSorted((a, b) => Number(b) - Number(a)));
      const worked = steps.filter(({ kind }) => kind !== 'refuse').map(({ recording }) => recording);
      expect(new Set(worked.map(({ id }) => id)).size).toBe(worked.length);
      expect(new Set(worked.map((recording) => sourceKeyOf('BC-1', recording))).size).toBe(worked.length);
    }),
    { numRuns: 500 },
  );
});

describe('the key by which a recording is known again', () => {
  const file = { id: 'R1', path: '/DCIM/A.MP4', sizeBytes: 5, kind: 'video', isProtected: false } as const;
  const digitsAt = Date.UTC(2026, 0, 1, 10);
  /** As a camera lists it whose profile says that its clock is in this zone. */
  const listed = (words: string, zoneMinutes: number): ListedRecording => ({
    ...file,
    endedAt: instantOf(parsePtpDate(words) ?? { digitsAt }, zoneMinutes),
    statedTimes: { modified: words, zoneMinutes },
  });

  test.each(['20260101T100000', '20260101T100000.5', '20260101T100000Z', '20260101T100000+0600'])(
    'is the same for %s, whatever zone its profile gives the camera',
    (words) => {
      const keys = [300, 360, 0, -90].map((zone) => sourceKeyOf('BC-1', listed(words, zone)));
      expect(new Set(keys).size).toBe(1);
      expect(keys[0]).not.toBe(sourceKeyOf('BC-1', listed('20260101T100001', 300)));
    },
  );

  test('is what it was before there was a choice: catalogues are full of them', () => {
    const zone = 300;
    const known = createHash('sha256')
      .update(JSON.stringify(['BC-1', '/DCIM/A.MP4', '5', null, digitsAt - zone * 60_000]))
      .digest('hex');
    expect(sourceKeyOf('BC-1', listed('20260101T100000', zone))).toBe(known);
    expect(sourceKeyOf('BC-1', { ...file, endedAt: digitsAt - zone * 60_000 })).toBe(known);
  });
});
