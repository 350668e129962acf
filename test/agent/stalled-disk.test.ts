// A disk that does not answer, be it for hours, keeps those waiting who store, and nobody else: the station says so to
// its service manager, to technicians and to central monitoring, also when it was so from the start.
import { expect, test } from 'vitest';
import type { StatusAnswer } from '../../agent/cli/answers.ts';
import type { AgentHost } from '../../agent/agent-host.ts';
import { systemHealthSources, type HealthReport } from '../../agent/health/station-health.ts';
import { nobody, type Supervisor } from '../../agent/service/supervisor.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';
import { Monitor } from '../report/monitor.ts';
import { quickBay, quickCamera } from '../support/quick-bay.ts';
import { storeOf } from '../support/recordings.ts';
import { TestStation } from '../support/test-station.ts';

/** A machine whose disk answers while its gate is open. */
function stallingHost(): { host: Partial<AgentHost>; said: string[]; stall: () => void; answer: () => void } {
  let gate: PromiseWithResolvers<void> | undefined;
  const said: string[] = [];
  const supervisor: Supervisor = {
    ...nobody,
    watchdogMs: 300,
    ready: () => void said.push('ready'),
    alive: () => void said.push('alive'),
    status: (line) => void said.push(line),
  };
  const gated =
    <T extends unknown[], R>(work: (...args: T) => Promise<R>) =>
    async (...args: T): Promise<R> => {
      await gate?.promise;
      return work(...args);
    };
  return {
    host: {
      lookIntoBay: quickBay,
      supervisor,
      disk: {
        ...nodeDisk,
        makeFolder: gated((path: string) => nodeDisk.makeFolder(path)),
        freeBytes: gated((path: string) => nodeDisk.freeBytes(path)),
      },
      healthSources: { ...systemHealthSources, space: gated(systemHealthSources.space) },
    },
    said,
    stall: () => (gate = Promise.withResolvers()),
    answer: () => {
      gate?.resolve();
      gate = undefined;
    },
  };
}

test('a disk that does not answer at the start is told of, and the work begins as soon as it answers', async () => {
  const { host, said, stall, answer } = stallingHost();
  stall();
  await using station = await TestStation.start({ host });
  expect(said.slice(0, 3)).toEqual([
    'Starting: opening the database',
    'Starting: bringing the vault in order',
    'The disk of the vault does not answer',
  ]);
  station.plug(1, quickCamera({ serialNumber: 'BC-1', store: storeOf({ 'A.MP4': 5000 }).store }));
  expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'vault.slow' });
  await using monitor = await Monitor.on(station.agent.brokerUrl);
  const health = await monitor.until('health', () => monitor.on('/health').at(-1)?.body);
  expect(health).toMatchObject({ level: 'critical', codes: expect.stringContaining('vault.slow') });
  const bay = await monitor.until('bay', () => monitor.on('/bay/1').at(-1)?.body);
  expect(bay).toMatchObject({ phase: 'attention', code: 'vault.slow' });
  expect(await station.ask<StatusAnswer>('status')).toMatchObject({
    vault: { freeBytes: null, problem: 'vault.slow' },
  });
  const told = 'the disk of the vault does not answer; 1 bays: 1 attention; broker connected';
  await station.until('status', async () => said.includes(told));
  expect(said.slice(said.indexOf('ready')), 'restarting it would not help').toContain('alive');
  answer();
  expect(await station.untilPhase(1, 'ready')).toMatchObject({ serialNumber: 'BC-1' });
  expect(await station.sessions()).toMatchObject([{ outcome: 'complete', stored: 1 }]);
  expect((await station.events()).map(({ type }) => type)).toContain('vault-problem');
});

test('a disk that stops answering holds up nobody who asks how the station is', async () => {
  const { host, stall, answer } = stallingHost();
  await using station = await TestStation.start({ host });
  expect((await station.ask<HealthReport>('health')).vaultFreeBytes).toBeGreaterThan(0);
  stall();
  const [status, health] = await Promise.all([
    station.ask<StatusAnswer>('status'),
    station.ask<HealthReport>('health'),
  ]);
  expect(status.vault).toMatchObject({ freeBytes: null, problem: 'vault.slow' });
  expect(health.problems[0]).toMatchObject({ level: 'critical', code: 'vault.slow' });
  expect(health).not.toHaveProperty('vaultFreeBytes');
  answer();
  await station.until(
    'well again',
    async () => (await station.ask<HealthReport>('health')).isVaultSlow === false,
  );
  const told = (await station.events()).filter(({ data }) => data['code'] === 'vault.slow');
  expect(told).toMatchObject([{ type: 'vault-problem' }]);
});
