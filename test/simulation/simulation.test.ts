import { describe, expect, test } from 'vitest';
import type { AgentHost } from '../../agent/agent-host.ts';
import type { Disk } from '../../agent/vault/disk.ts';
import { namedSeeds } from './named-seeds.ts';
import { simulate } from './simulation.ts';

/**
 * The whole agent in a simulated world (see README.md). Many more seeds: `npm run simulate`.
 */

const fewSeeds = Array.from({ length: 12 }, (_, index) => index + 1);

test('the promises hold whatever happens, and all comes to its end', { timeout: 60_000 }, async () => {
  for (const seed of fewSeeds) {
    const { violations, story } = await simulate(seed);
    expect(violations, `seed ${seed}:\n${story.slice(-40).join('\n')}`).toEqual([]);
  }
});

test.each(namedSeeds)('seed $seed: $bug', async ({ seed }) => {
  const { violations, story } = await simulate(seed);
  expect(violations, story.slice(-40).join('\n')).toEqual([]);
});

test('a seed tells the same story every time, and another seed another one', async () => {
  const [once, again, other] = [await simulate(7), await simulate(7), await simulate(8)];
  expect(again.story).toEqual(once.story);
  expect(again.storyDigest).toBe(once.storyDigest);
  expect(other.storyDigest).not.toBe(once.storyDigest);
});

describe('the simulation notices', () => {
  /** The violations of the first seed that has any, of the promise that the sabotage breaks. */
  async function firstViolation(sabotage: (host: AgentHost) => AgentHost): Promise<string> {
    for (let seed = 1; seed <= 60; seed++) {
      const { violations } = await simulate(seed, sabotage);
      if (violations[0] !== undefined) return violations[0];
    }
    return 'nothing';
  }

  const withDisk = (change: (disk: Disk) => Partial<Disk>) => (host: AgentHost) => ({
    ...host,
    disk: { ...host.disk, ...change(host.disk) },
  });

  test('files that are never synced', async () => {
    const unsynced = withDisk((disk) => ({
      open: async (path, mode) => {
        const file = await disk.open(path, mode);
        return {
          append: (bytes) => file.append(bytes),
          read: (buffer, position) => file.read(buffer, position),
          truncate: (sizeBytes) => file.truncate(sizeBytes),
          sync: async () => undefined,
          [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
        };
      },
    }));
    expect(await firstViolation(unsynced)).toMatch(/^promise 1: .*its bytes are not synced$/);
  });

  test('folders that are never synced', async () => {
    const unsynced = withDisk(() => ({ syncFolder: async () => undefined }));
    expect(await firstViolation(unsynced)).toMatch(/^promise 1: .*its name is not synced$/);
  });

  test('bays that nobody looks into any more', async () => {
    let looks = 0;
    const tired = (host: AgentHost): AgentHost => ({
      ...host,
      lookIntoBay: (bay, signal) =>
        ++looks > 20 ? new Promise(() => undefined) : host.lookIntoBay(bay, signal),
    });
    expect(await firstViolation(tired)).toMatch(
      /^(promise 6: bay \d is hung|agent: does not stop|promise 7)/,
    );
  });

  test('events that count as delivered before the broker has them', async () => {
    const hasty = (host: AgentHost): AgentHost => ({
      ...host,
      openBroker: async (options, clock, signal) => {
        const connection = await host.openBroker?.(options, clock, signal);
        if (!connection) throw new Error('no broker');
        return {
          protocolVersion: connection.protocolVersion,
          receiveMaximum: connection.receiveMaximum,
          closed: connection.closed,
          publish: async (...message) => void connection.publish(...message).catch(() => undefined),
          subscribe: (...filters) => connection.subscribe(...filters),
          disconnect: (stop) => connection.disconnect(stop),
          [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
        };
      },
    });
    expect(await firstViolation(hasty)).toMatch(/^promise (5|7): .*event/);
  });
});
