import { createHash, createPublicKey, verify } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Camera, ListedRecording } from '../../dock/camera/camera.ts';
import { attestVerifiedCopy, type VerifiedCopy } from '../../dock/camera/verified-copy.ts';
import { DockError } from '../../protocol/errors.ts';
import { challengeMessage } from '../../protocol/smp/camera-group.ts';
import type { storeOf } from './recordings.ts';

const everyCapability = ['health', 'clock', 'challenge', 'digest', 'remove'] as const;

export type ConformanceCapability = (typeof everyCapability)[number];

/** What a factory is asked for. */
export interface ConformanceRequest {
  readonly held: ReturnType<typeof storeOf>;
  /** Capabilities that the camera shall lack. */
  readonly without?: readonly ConformanceCapability[];
}

/** A camera under test with the means to spoil its day. */
export interface ConformanceBench extends AsyncDisposable {
  readonly camera: Camera;
  readonly serialNumber: string;
  /** About one of N answers is lost from now on; 0 ends it. */
  loseOneIn(answers: number): void;
  /** From now on nothing answers, or downloads alone do not. */
  fallSilent(what: 'everything' | 'downloads'): void;
  speakAgain(): void;
  /** Another camera answers in its place. */
  becomeAnother(): void;
  refuseRemoval(): void;
  forgetClock(): void;
  unplug(): Promise<void>;
}

export type ConformanceFactory = (request: ConformanceRequest) => Promise<ConformanceBench>;

/**
 * The contract of dock/camera/camera.ts, rule by rule, for any family of cameras. `capabilities` are those that the
 * family can have; what it never has is not asked of it. `swapCloses`: another camera in the place of this one is
 * another attach, so that this one is gone.
 */
export function cameraConformance(
  family: string,
  {
    open,
    recordings,
    capabilities = everyCapability,
    swapCloses = false,
  }: {
    open: ConformanceFactory;
    recordings: () => ReturnType<typeof storeOf>;
    capabilities?: readonly ConformanceCapability[];
    swapCloses?: boolean;
  },
): void {
  const testWith = (capability: ConformanceCapability) => test.runIf(capabilities.includes(capability));
  const { signal } = new AbortController();

  async function list(camera: Camera): Promise<ListedRecording[]> {
    return Array.fromAsync(camera.recordings(signal));
  }

  async function bytesOf(camera: Camera, recording: ListedRecording, offset = 0): Promise<Buffer> {
    return Buffer.concat(await Array.fromAsync(camera.read(recording, offset, signal)));
  }

  function proofOf(recording: ListedRecording, sha256: string): VerifiedCopy {
    return attestVerifiedCopy({ recordingId: recording.id, sizeBytes: Number(recording.sizeBytes), sha256 });
  }

  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

  /** Every method that asks the camera something, as one call each. */
  function calls(camera: Camera, recording: ListedRecording) {
    const proof = proofOf(recording, '00'.repeat(32));
    return {
      readIdentity: (stop: AbortSignal) => camera.readIdentity(stop),
      recordings: (stop: AbortSignal) => Array.fromAsync(camera.recordings(stop)),
      read: (stop: AbortSignal) => Array.fromAsync(camera.read(recording, 0, stop)),
      ...(camera.health && { health: camera.health }),
      ...(camera.clock && { 'clock.read': (stop: AbortSignal) => camera.clock?.read(stop) }),
      ...(camera.clock && { 'clock.set': (stop: AbortSignal) => camera.clock?.set(1_000_000_000_000, stop) }),
      ...(camera.challenge && {
        challenge: (stop: AbortSignal) => camera.challenge?.(new Uint8Array(32), stop),
      }),
      ...(camera.digest && { digest: (stop: AbortSignal) => camera.digest?.(recording, stop) }),
      ...(camera.remove && { remove: (stop: AbortSignal) => camera.remove?.(recording, proof, stop) }),
    } as Readonly<Record<string, (stop: AbortSignal) => Promise<unknown>>>;
  }

  describe(`${family}: a camera`, () => {
    test.for(capabilities)(
      'that lacks %s has no such member, and one that has it does',
      async (capability) => {
        await using whole = await open({ held: recordings() });
        expect(whole.camera[capability]).toBeDefined();
        await using lacking = await open({ held: recordings(), without: [capability] });
        expect(lacking.camera[capability]).toBeUndefined();
      },
    );

    test('ends with the reason of its signal, in whatever it does, and may be asked again', async () => {
      await using bench = await open({ held: recordings() });
      const [recording] = await list(bench.camera);
      for (const [name, call] of Object.entries(calls(bench.camera, recording as ListedRecording))) {
        bench.fallSilent('everything');
        const stop = new AbortController();
        const ended = call(stop.signal).then(
          () => 'resolved',
          (error: unknown) => error,
        );
        const reason = new Error(`stop ${name}`);
        setImmediate(() => stop.abort(reason));
        expect(await ended, name).toBe(reason);
        bench.speakAgain();
        expect((await bench.camera.readIdentity(signal)).serialNumber).toBe(bench.serialNumber);
      }
    });

    test('does nothing at all under a signal that was aborted before', async () => {
      await using bench = await open({ held: recordings() });
      const [recording] = await list(bench.camera);
      const reason = new Error('aborted before');
      for (const [name, call] of Object.entries(calls(bench.camera, recording as ListedRecording))) {
        await expect(call(AbortSignal.abort(reason)), name).rejects.toBe(reason);
      }
    });

    test('is not changed by reading, which may be repeated', async () => {
      const held = recordings();
      await using bench = await open({ held });
      const before = held.store.list();
      const first = await list(bench.camera);
      for (const recording of first) {
        const once = await bytesOf(bench.camera, recording);
        expect((await bytesOf(bench.camera, recording)).equals(once)).toBe(true);
        expect(sha256(once)).toBe(held.sha256(recording.path));
      }
      expect(await list(bench.camera)).toEqual(first);
      expect(held.store.list()).toEqual(before);
    });

    test('repeats lost answers by itself', async () => {
      const held = recordings();
      await using bench = await open({ held });
      bench.loseOneIn(6);
      for (const recording of await list(bench.camera)) {
        expect(sha256(await bytesOf(bench.camera, recording))).toBe(held.sha256(recording.path));
        const digest = await bench.camera.digest?.(recording, signal);
        if (bench.camera.digest) expect(digest).toBe(held.sha256(recording.path));
      }
      expect((await bench.camera.readIdentity(signal)).serialNumber).toBe(bench.serialNumber);
    });

    test('fails with DockErrors, and with link.closed for good once it is gone', async () => {
      await using bench = await open({ held: recordings() });
      const [recording] = await list(bench.camera);
      await bench.unplug();
      for (let round = 0; round < 2; round++) {
        for (const [name, call] of Object.entries(calls(bench.camera, recording as ListedRecording))) {
          const error: unknown = await call(signal).then(
            () => undefined,
            (thrown: unknown) => thrown,
          );
          expect(error, name).toBeInstanceOf(DockError);
          expect(error, name).toMatchObject({ code: 'link.closed' });
        }
      }
    });

    // usb.unresponsive where the family has ways to revive a device, and none of them helped.
    test('that falls silent fails as wire.timeout and can be asked again when it speaks', async () => {
      await using bench = await open({ held: recordings() });
      bench.fallSilent('everything');
      await expect(bench.camera.readIdentity(signal)).rejects.toMatchObject({
        code: expect.stringMatching(/^(wire\.timeout|usb\.unresponsive)$/),
      });
      bench.speakAgain();
      expect((await bench.camera.readIdentity(signal)).serialNumber).toBe(bench.serialNumber);
    });

    test('keeps the identity it was opened with, and tells when it is another', async () => {
      await using bench = await open({ held: recordings() });
      expect(bench.camera.identity).toEqual(await bench.camera.readIdentity(signal));
      bench.becomeAnother();
      if (swapCloses) {
        await expect(bench.camera.readIdentity(signal)).rejects.toMatchObject({ code: 'link.closed' });
      } else {
        expect((await bench.camera.readIdentity(signal)).serialNumber).not.toBe(bench.serialNumber);
      }
      expect(bench.camera.identity.serialNumber).toBe(bench.serialNumber);
    });

    testWith('challenge')('proves its key with a signature over serial number and nonce', async () => {
      await using bench = await open({ held: recordings() });
      const { publicKey } = bench.camera.identity;
      expect(publicKey).toHaveLength(32);
      const nonce = Uint8Array.from({ length: 32 }, (_, index) => index);
      const signature = await bench.camera.challenge?.(nonce, signal);
      const x = Buffer.from(publicKey ?? []).toString('base64url');
      const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
      expect(
        verify(null, challengeMessage(bench.serialNumber, nonce), key, signature ?? new Uint8Array()),
      ).toBe(true);
    });
  });

  describe(`${family}: recordings`, () => {
    test('are listed as the camera has them', async () => {
      const held = recordings();
      await using bench = await open({ held });
      const listed = await list(bench.camera);
      expect(
        listed.map(({ path, sizeBytes, kind, isProtected, startedAt }) => ({
          path,
          sizeBytes,
          kind,
          isProtected,
          startedAt,
        })),
      ).toEqual(
        held.store.list().map(({ path, sizeBytes, kind, isProtected, startedAt }) => ({
          path,
          sizeBytes,
          kind,
          isProtected,
          startedAt,
        })),
      );
      expect(new Set(listed.map(({ id }) => id)).size).toBe(listed.length);
      expect(listed.every(({ defect }) => defect === undefined)).toBe(true);
    });

    test('are read from any offset to their end', async () => {
      const held = recordings();
      await using bench = await open({ held });
      for (const recording of await list(bench.camera)) {
        const size = Number(recording.sizeBytes);
        const whole = await bytesOf(bench.camera, recording);
        expect(whole.length).toBe(size);
        for (const offset of [0, 1, Math.floor(size / 2), size - 1, size]) {
          if (offset < 0 || offset > size) continue;
          const rest = await bytesOf(bench.camera, recording, offset);
          expect(rest.equals(whole.subarray(offset)), `${recording.path} from ${offset}`).toBe(true);
        }
      }
    });

    test('may be left in the middle, and others read afterwards', async () => {
      const held = recordings();
      await using bench = await open({ held });
      const listed = await list(bench.camera);
      for (const recording of listed) {
        for await (const chunk of bench.camera.read(recording, 0, signal)) {
          expect(chunk.length).toBeGreaterThan(0);
          break;
        }
        expect(sha256(await bytesOf(bench.camera, recording))).toBe(held.sha256(recording.path));
      }
    });

    test('that vanish fail as recording.vanished', async () => {
      const held = recordings();
      await using bench = await open({ held });
      const [recording] = await list(bench.camera);
      for (const each of held.store.list()) held.store.remove(each);
      await expect(bytesOf(bench.camera, recording as ListedRecording)).rejects.toMatchObject({
        code: 'recording.vanished',
      });
      expect(await list(bench.camera)).toEqual([]);
    });

    test('that stop coming fail as recording.stalled, while the camera answers', async () => {
      await using bench = await open({ held: recordings() });
      const [recording] = await list(bench.camera);
      bench.fallSilent('downloads');
      await expect(bytesOf(bench.camera, recording as ListedRecording)).rejects.toMatchObject({
        code: 'recording.stalled',
      });
      expect((await bench.camera.readIdentity(signal)).serialNumber).toBe(bench.serialNumber);
    });

    test('with another size than listed fail as recording.size-mismatch', async () => {
      await using bench = await open({ held: recordings() });
      const [recording] = await list(bench.camera);
      for (const wrongBytes of [1, -1]) {
        const lie = {
          ...(recording as ListedRecording),
          sizeBytes: Number(recording?.sizeBytes) + wrongBytes,
        };
        await expect(bytesOf(bench.camera, lie)).rejects.toMatchObject({ code: 'recording.size-mismatch' });
      }
    });

    testWith('digest')('have their digest in lower-case hex', async () => {
      const held = recordings();
      await using bench = await open({ held });
      for (const recording of await list(bench.camera)) {
        expect(await bench.camera.digest?.(recording, signal)).toBe(held.sha256(recording.path));
        if (recording.sha256 !== undefined) expect(recording.sha256).toBe(held.sha256(recording.path));
      }
    });

    testWith('remove')('are removed with a proof, and are gone then', async () => {
      const held = recordings();
      await using bench = await open({ held });
      const [recording] = await list(bench.camera);
      if (!recording) throw new Error('no recording');
      await bench.camera.remove?.(recording, proofOf(recording, held.sha256(recording.path)), signal);
      expect(held.store.list().map(({ path }) => path)).not.toContain(recording.path);
      // Asked again after a lost answer, what is gone is gone.
      await bench.camera.remove?.(recording, proofOf(recording, held.sha256(recording.path)), signal);
    });

    testWith('remove')('are not removed without a proof, whatever the types were told', async () => {
      const held = recordings();
      await using bench = await open({ held });
      const [recording] = await list(bench.camera);
      if (!recording) throw new Error('no recording');
      const forged = {
        recordingId: recording.id,
        sizeBytes: 1,
        sha256: held.sha256(recording.path),
      } as unknown as VerifiedCopy;
      const before = held.store.list().length;
      await expect(bench.camera.remove?.(recording, forged, signal)).rejects.toMatchObject({
        code: 'internal.bug',
      });
      expect(held.store.list()).toHaveLength(before);
    });

    testWith('remove')(
      'are not removed with the proof of another copy, nor when the camera will not',
      async () => {
        const held = recordings();
        await using bench = await open({ held });
        const [recording] = await list(bench.camera);
        if (!recording) throw new Error('no recording');
        const before = held.store.list().length;
        // A camera that knows no digests can tell another copy by its size alone.
        const wrong = capabilities.includes('digest')
          ? proofOf(recording, '00'.repeat(32))
          : proofOf({ ...recording, sizeBytes: Number(recording.sizeBytes) + 1 }, '00'.repeat(32));
        await expect(bench.camera.remove?.(recording, wrong, signal)).rejects.toMatchObject({
          code: 'removal.refused',
        });
        bench.refuseRemoval();
        const right = proofOf(recording, held.sha256(recording.path));
        await expect(bench.camera.remove?.(recording, right, signal)).rejects.toMatchObject({
          code: 'removal.refused',
        });
        expect(held.store.list()).toHaveLength(before);
      },
    );
  });

  describe(`${family}: the clock`, () => {
    testWith('clock')('shows steps of its resolution, and keeps what it is set to', async () => {
      await using bench = await open({ held: recordings() });
      const { clock } = bench.camera;
      if (!clock) throw new Error('no clock');
      expect((await clock.read(signal)) % clock.resolutionMs).toBe(0);
      const at = Date.UTC(2031, 1, 28, 23, 59, 58);
      await clock.set(at, signal);
      const shown = await clock.read(signal);
      expect(shown).toBeGreaterThanOrEqual(at);
      expect(shown).toBeLessThan(at + 2000);
    });

    testWith('clock')('that was never set fails as camera.clock-unset', async () => {
      await using bench = await open({ held: recordings() });
      bench.forgetClock();
      await expect(bench.camera.clock?.read(signal)).rejects.toMatchObject({ code: 'camera.clock-unset' });
    });
  });
}
