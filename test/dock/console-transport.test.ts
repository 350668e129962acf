// Zephyr's default server has two line buffers: a third line that comes before it has read one is lost, silently.
import { describe, expect, test } from 'vitest';
import { consoleTransport } from '../../dock/camera/console-transport.ts';
import { encodeConsoleFrame } from '../../protocol/smp/console-frame.ts';
import type { ByteLink } from '../../dock/link.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

function paced(options: { burstLines: number; lineGapMs: number }) {
  const clock = new VirtualClock();
  const lines: number[] = [];
  let deliver: (chunk: Uint8Array) => void = () => undefined;
  const link: ByteLink = {
    name: 'recorder',
    closed: new Promise(() => undefined),
    onBytes: (receiver) => {
      deliver = receiver;
    },
    write: async (bytes) => {
      for (const byte of bytes) if (byte === 0x0a) lines.push(clock.monotonic());
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  const transport = consoleTransport(link, clock, { bytesPerSecond: 0, ...options });
  transport.onMessage(() => undefined);
  const answer = (): void => deliver(Buffer.concat(encodeConsoleFrame(new Uint8Array(8))));
  return { clock, lines, transport, answer };
}

/** The most lines that fall into any span shorter than the gap. */
function longestBurst(lines: readonly number[], gapMs: number): number {
  return Math.max(...lines.map((start) => lines.filter((at) => at >= start && at - start < gapMs).length));
}

describe('lines to a server with small buffers', () => {
  test.for([
    [2, 20],
    [1, 20],
    [4, 5],
  ] as const)('come at most %d at a time, the others %d ms apart', async ([burstLines, lineGapMs]) => {
    const { lines, transport } = paced({ burstLines, lineGapMs });
    await transport.send(new Uint8Array(1000));
    expect(lines).toHaveLength(11);
    expect(longestBurst(lines, lineGapMs)).toBeLessThanOrEqual(burstLines);
  });

  test('are counted over messages that were not answered yet', async () => {
    const { lines, transport } = paced({ burstLines: 2, lineGapMs: 20 });
    await Promise.all([1, 2, 3].map(() => transport.send(new Uint8Array(150))));
    expect(lines).toHaveLength(6);
    expect(longestBurst(lines, 20)).toBeLessThanOrEqual(2);
  });

  test('wait for nothing once the message before was answered', async () => {
    const { clock, lines, transport, answer } = paced({ burstLines: 2, lineGapMs: 20 });
    for (let round = 0; round < 10; round++) {
      await transport.send(new Uint8Array(150));
      answer();
    }
    expect(lines).toHaveLength(20);
    expect(clock.monotonic()).toBe(0);
  });

  test('of a message that fits the buffers come at once', async () => {
    const { clock, lines, transport } = paced({ burstLines: 2, lineGapMs: 20 });
    await transport.send(new Uint8Array(182));
    expect(lines).toEqual([0, 0]);
    expect(clock.monotonic()).toBe(0);
  });
});

test('a message on a slow line is given the time it takes', () => {
  const { transport } = paced({ burstLines: 2, lineGapMs: 20 });
  expect(transport.wireTimeMs(1000)).toBe(0);
  const slow = consoleTransport(
    {
      name: 'slow',
      closed: new Promise(() => undefined),
      onBytes: () => undefined,
      write: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    },
    new VirtualClock(),
    { bytesPerSecond: 960, burstLines: 2, lineGapMs: 20 },
  );
  // 4096 bytes at 9600 baud, with base64 and line overhead.
  expect(slow.wireTimeMs(4096)).toBeGreaterThan(5500);
});
