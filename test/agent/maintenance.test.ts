// A station looks after itself once a night for years, with nobody who could notice that it stopped doing so.
import { mkdirSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { systemRandom } from '../../dock/host/system-clock.ts';
import { backupFolderOf, DatabaseBackups } from '../../agent/state/backups.ts';
import { Maintenance } from '../../agent/state/maintenance.ts';
import { Scrub } from '../../agent/vault/scrub.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { VaultBench } from '../vault/vault-bench.ts';

const [hourMs, dayMs] = [3_600_000, 86_400_000];
const startAt = Date.UTC(2026, 10, 22, 8);

/** Lets a station be alone for so long; at 02:00 UTC it is night. */
async function alone(bench: VaultBench, forMs: number): Promise<{ tries: number; logged: string[] }> {
  const stopping = new AbortController();
  class Days extends VirtualClock {
    override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
      await super.sleep(ms, signal);
      if (this.monotonic() >= forMs) stopping.abort();
    }
  }
  let tries = 0;
  class CountedBackups extends DatabaseBackups {
    override take(...args: Parameters<DatabaseBackups['take']>): ReturnType<DatabaseBackups['take']> {
      tries++;
      return super.take(...args);
    }
  }
  const clock = new Days({ startAt });
  const { db, outbox, disk, vault } = bench;
  const logged: string[] = [];
  const log = {
    info: (event: string) => void logged.push(event),
    warn: () => undefined,
    error: () => undefined,
  };
  await new Maintenance({
    db,
    outbox,
    backups: new CountedBackups({ folder: backupFolderOf(vault.folder), keep: 2, clock }),
    scrub: new Scrub({
      db,
      outbox,
      disk,
      vault,
      clock,
      isBusy: () => false,
      bytesPerSecond: 2 ** 30,
      everyMs: dayMs,
    }),
    clock,
    random: systemRandom,
    log,
    hour: 2,
  }).run(stopping.signal);
  return { tries, logged };
}

test('a station backs up at its start and every night, keeps what it is told to, forgets and checks', async () => {
  using bench = new VaultBench({ clock: new VirtualClock({ startAt }) });
  mkdirSync(bench.vaultFolder);
  bench.db.run(
    `INSERT INTO docking_session (id, bay, serial_number, started_at, ended_at) VALUES ('old', 1, 'BC-1', 0, 1)`,
  );
  const { tries, logged } = await alone(bench, 3 * dayMs);
  expect([tries, logged]).toEqual([4, Array(4).fill('nightly-done')]);
  expect(bench.db.all('SELECT id FROM docking_session')).toEqual([]);
  const backedUp = bench.outbox.latest(100).filter(({ type }) => type === 'database-backed-up');
  const hours = backedUp.map(({ data }) => /T(\d\d)/.exec(String(data['file'] as string))?.[1]);
  expect(hours).toEqual(['08', '02', '02', '02']);
  expect(bench.outbox.latest(100).filter(({ type }) => type === 'vault-checked')).toHaveLength(4);
  const kept = readdirSync(backupFolderOf(bench.vaultFolder));
  expect(kept).toHaveLength(2);
});

test('a backup that fails is tried again every hour and reported once, until it works', async () => {
  using bench = new VaultBench({ clock: new VirtualClock({ startAt }) });
  const types = (): string[] => bench.outbox.latest(100).map(({ type }) => type);
  const { tries } = await alone(bench, 5 * hourMs); // the vault is not mounted
  expect(tries).toBeGreaterThanOrEqual(4);
  expect(tries).toBeLessThanOrEqual(6);
  expect(types().filter((type) => type === 'database-problem')).toHaveLength(1);
  mkdirSync(bench.vaultFolder);
  await alone(bench, hourMs / 2);
  expect(types()).toContain('database-backed-up');
});
