import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { expect } from 'vitest';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import type { Camera, ListedRecording } from '../../dock/camera/camera.ts';
import type { VerifiedCopy } from '../../dock/camera/verified-copy.ts';
import type { Clock } from '../../dock/clock.ts';
import { planIngest } from '../../agent/ingest/plan.ts';
import { pullRecording } from '../../agent/ingest/pull.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { SessionLog, type SessionAccount } from '../../agent/session/session-log.ts';
import { Catalogue } from '../../agent/vault/catalogue.ts';
import type { Disk } from '../../agent/vault/disk.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';
import { Vault } from '../../agent/vault/vault.ts';
import { FaultDatabase } from '../support/fault-database.ts';
import { FaultDisk } from '../support/fault-disk.ts';

/** Whatever a pull gave before it ended. */
export interface Docked {
  readonly copies: readonly VerifiedCopy[];
  readonly error: unknown;
  readonly account: SessionAccount;
}

/** A vault with its real database on the real file system, in a folder of its own that goes away. */
export class VaultBench implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'dock-vault-'));
  readonly vaultFolder = join(this.folder, 'vault');
  readonly disk: FaultDisk;
  readonly clock: Clock;
  readonly signal = new AbortController().signal;
  readonly #reserveBytes: number;
  db!: FaultDatabase;
  outbox!: Outbox;
  catalogue!: Catalogue;
  vault!: Vault;

  constructor(options: { disk?: Disk; clock?: Clock; reserveBytes?: number } = {}) {
    this.disk = new FaultDisk(options.disk ?? nodeDisk);
    this.clock = options.clock ?? systemClock;
    this.#reserveBytes = options.reserveBytes ?? 0;
    this.#start();
  }

  /** Ends everything held in memory and starts anew on what is on the disk, as after a crash. */
  async restart(): Promise<void> {
    this.db[Symbol.dispose]();
    await this.startAgain();
  }

  /** The same after the database was closed. */
  async startAgain(): Promise<void> {
    this.#start();
    await this.vault.recover(this.signal);
  }

  #start(): void {
    const { clock, disk } = this;
    this.db = new FaultDatabase(join(this.folder, 'station.db'));
    this.outbox = new Outbox(this.db, clock, systemRandom);
    this.catalogue = new Catalogue(this.db);
    this.vault = new Vault(
      { db: this.db, outbox: this.outbox, disk, clock, random: systemRandom },
      { folder: this.vaultFolder, reserveBytes: this.#reserveBytes },
    );
  }

  openSession(camera: Camera): SessionLog {
    const { db, outbox, clock } = this;
    return SessionLog.open(
      { db, outbox, clock, random: systemRandom },
      { bay: 1, isFirst: true },
      camera.identity,
    );
  }

  pull(camera: Camera, recording: ListedRecording, log: SessionLog): Promise<VerifiedCopy | undefined> {
    const { serialNumber } = camera.identity;
    return pullRecording({
      camera,
      vault: this.vault,
      recording,
      context: { serialNumber, sessionId: log.id },
      onProgress: () => undefined,
      signal: this.signal,
    });
  }

  /** One docking: pulls what the plan says until the first error. */
  async dock(camera: Camera): Promise<Docked> {
    const log = this.openSession(camera);
    const copies: VerifiedCopy[] = [];
    let error: unknown;
    try {
      const listed = await Array.fromAsync(camera.recordings(this.signal));
      log.count('listed', listed.length);
      const steps = planIngest({
        serialNumber: camera.identity.serialNumber,
        listed,
        maxRecordingBytes: 2 ** 40,
        find: (key, sha256) => this.catalogue.find(key, sha256),
      });
      for (const { kind, recording } of steps) {
        const copy = kind === 'pull' ? await this.pull(camera, recording, log) : undefined;
        if (copy) copies.push(copy);
        else if (kind === 'held') log.count('held');
      }
    } catch (thrown) {
      error = thrown;
    }
    return { copies, error, account: log.close(error === undefined ? 'complete' : 'interrupted', undefined) };
  }

  /** Paths of all files in the vault, relative to it, without the sidecars that lie beside their recordings. */
  files(): string[] {
    const all = this.allFiles();
    return all.filter((path) => !path.endsWith('.json') || !all.includes(path.slice(0, -'.json'.length)));
  }

  allFiles(): string[] {
    try {
      return readdirSync(this.vaultFolder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(this.vaultFolder, join(entry.parentPath, entry.name)))
        .filter((path) => !path.startsWith('.database/'))
        .sort();
    } catch {
      return [];
    }
  }

  bytes(storedPath: string): Buffer {
    return readFileSync(join(this.vaultFolder, storedPath));
  }

  intakes(): number {
    return Number(this.db.get('SELECT count(*) AS n FROM intake')?.['n']);
  }

  eventTypes(): string[] {
    return this.outbox.latest(1000).map(({ type }) => type);
  }

  /** Every row of the catalogue has its file, whole; every other file is a part, or is named by an intake with its sidecar. */
  async expectCatalogueAgrees(): Promise<void> {
    const entries = this.catalogue.page({ limit: 1000 });
    for (const entry of entries) await this.vault.verify(entry, this.signal);
    const rows = this.db.all('SELECT stored_path, recording_id FROM intake');
    const known = new Set(entries.map(({ storedPath }) => storedPath));
    for (const row of rows) known.add(String(row['stored_path'])).add(`${String(row['stored_path'])}.json`);
    const parts = new Set(rows.map((row) => `.part-${String(row['recording_id'])}`));
    const stray = this.files().filter((path) => !known.has(path) && !parts.has(path.split('/').at(-1) ?? ''));
    expect(stray).toEqual([]);
  }

  /** Everything the camera lists is stored exactly once, bit for bit, and nothing else is left. */
  async expectAllStored(camera: Camera & { bytes(of: ListedRecording): Uint8Array }): Promise<void> {
    const listed = await Array.fromAsync(camera.recordings(this.signal));
    const entries = listed.map((recording) => {
      const entry = this.catalogue.findRecording(camera.identity.serialNumber, recording);
      expect(entry, recording.path.slice(0, 80)).toMatchObject({ path: recording.path });
      expect(this.bytes(entry!.storedPath).equals(camera.bytes(recording))).toBe(true);
      return entry!.storedPath;
    });
    expect(this.catalogue.count()).toBe(listed.length);
    expect(this.files()).toEqual(entries.sort());
    expect(this.allFiles()).toEqual(entries.flatMap((path) => [path, `${path}.json`]).sort());
    expect(this.intakes()).toBe(0);
    expect(this.eventTypes().filter((type) => type === 'recording-stored')).toHaveLength(listed.length);
  }

  [Symbol.dispose](): void {
    this.db[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
