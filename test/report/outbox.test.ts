import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventEnvelope } from '../../protocol/mqtt/events.ts';
import { maxPayloadBytes } from '../../protocol/mqtt/head.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { Database } from '../../agent/state/database.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';

// The transactional outbox: a fact and its event are there together or not at all, and nothing that waits for the
// broker is ever thrown away.

describe('the outbox', () => {
  let folder: string;
  let db: Database;
  let outbox: Outbox;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dock-outbox-'));
    db = new Database(join(folder, 'station.db'));
    outbox = new Outbox(db, systemClock, systemRandom);
  });
  afterEach(() => {
    db[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  });

  const problem = { code: 'vault.file-missing', detail: 'x' };
  const facts = (): unknown => db.get('SELECT count(*) AS n FROM counter')?.['n'];
  const state = (name: string): void => void db.run('INSERT INTO counter VALUES (?, 1)', name);

  test('drops the event together with its fact when the transaction fails', () => {
    expect(() =>
      db.transaction(() => {
        state('a');
        outbox.record('vault-problem', problem);
        throw new Error('power cut');
      }),
    ).toThrow('power cut');
    expect([facts(), outbox.depth()]).toEqual([0, 0]);
    db.transaction(() => {
      state('a');
      outbox.record('vault-problem', problem);
    });
    expect([facts(), outbox.depth()]).toEqual([1, 1]);
  });

  test('drops the fact together with an event that cannot be written', () => {
    expect(() =>
      db.transaction(() => {
        state('a');
        outbox.record('vault-problem', { code: 7 } as never);
      }),
    ).toThrow(expect.objectContaining({ code: 'internal.bug' }));
    expect([facts(), outbox.depth()]).toEqual([0, 0]);
  });

  test.each(['x', '\u0000', '\u{1f600}'])(
    'cuts a text that no message can hold, with a mark: %j',
    (letter) => {
      outbox.record('vault-problem', { code: 'vault.file-missing', detail: letter.repeat(100_000) });
      const [event] = outbox.outgoing(0, 1);
      expect(Buffer.byteLength(event?.payload ?? '')).toBeLessThan(maxPayloadBytes);
      const { data } = eventEnvelope.parse(JSON.parse(event?.payload ?? ''));
      expect(data['detail']).toMatch(/^.{1000,2000}…$/su);
      expect(String(data['detail']).isWellFormed()).toBe(true);
    },
  );

  test('numbers events without a gap, whatever transactions failed in between', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 30 }), (succeed) => {
        const before = outbox.latest(1)[0]?.seq ?? 0;
        for (const isGood of succeed) {
          try {
            db.transaction(() => {
              outbox.record('vault-problem', problem);
              if (!isGood) throw new Error('no');
            });
          } catch {
            // What the caller does about it is not the outbox's business.
          }
        }
        const seqs = outbox.after(before, 100).map(({ seq }) => seq);
        expect(seqs).toEqual(seqs.map((_, index) => before + index + 1));
        expect(seqs).toHaveLength(succeed.filter(Boolean).length);
      }),
      { numRuns: 20 },
    );
  });

  test('refuses types and data that the contract does not know, and stores nothing', () => {
    for (const [type, data] of [
      ['vault-problem', {}],
      ['vault-problem', { code: 'x', detail: null }],
      ['agent-started', { version: '1', bootNumber: 1.5 }],
      ['clock-set', { serialNumber: 'A', sessionId: 'S', residualMs: Number.NaN, uncertaintyMs: 1 }],
      ['no-such-event', {}],
      ['__proto__', {}],
    ] as const) {
      const refused = expect.objectContaining({ code: 'internal.bug' });
      expect(() => outbox.record(type as never, data as never), type).toThrow(refused);
    }
    expect(outbox.latest(10)).toEqual([]);
  });

  test('leaves out what the contract does not name', () => {
    outbox.record('vault-problem', { ...problem, secret: 'do not tell' } as never);
    expect(outbox.latest(1)[0]?.data).toEqual(problem);
  });

  test('keeps any text as it was, through the database and the envelope', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (detail) => {
        outbox.record('vault-problem', { code: 'x', detail });
        const [event] = outbox.latest(1);
        const sent: unknown = JSON.parse(JSON.stringify(event && outbox.envelope(event)));
        expect(eventEnvelope.parse(sent).data).toEqual({ code: 'x', detail });
      }),
      { numRuns: 50 },
    );
  });

  test('gives every event an id of its own', () => {
    for (let count = 0; count < 500; count++) outbox.record('agent-stopping', {});
    expect(new Set(outbox.after(0, 1000).map(({ id }) => id)).size).toBe(500);
  });

  /** Delivered ones, as they are after weeks. */
  function recordDelivered(count: number): void {
    db.run(
      `WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
       INSERT INTO event (id, type, at, data, class, total_bytes)
         SELECT lower(hex(randomblob(16))), 'agent-stopping', 0, '{}', 'must', 0 FROM number`,
      count,
    );
  }
  const oldest = (limit: number): number[] => outbox.after(0, limit).map(({ seq }) => seq);

  test('forgets old events only when the broker has them', () => {
    outbox.record('agent-stopping', {});
    outbox.record('agent-stopping', {});
    recordDelivered(100_000);
    outbox.prune();
    expect(oldest(1)).toEqual([1]);
    outbox.acknowledge([1, 2]);
    outbox.prune();
    expect(oldest(1)).toEqual([3]);
    expect(outbox.depth()).toBe(0);
  });

  test('never forgets the newest 100,000, and prunes by itself as new ones come', () => {
    recordDelivered(100_500);
    outbox.record('agent-stopping', {});
    expect(oldest(1)).toEqual([1]);
    // Nor because numbers go on far above, as after a recovery of the database.
    db.run("UPDATE sqlite_sequence SET seq = 200999 WHERE name = 'event'");
    outbox.record('agent-stopping', {});
    // The one before the oldest that waits is its predecessor: it would stay in any case.
    expect(oldest(1)).toEqual([503]);
  });

  test('keeps the predecessor of the oldest that waits', () => {
    recordDelivered(10);
    outbox.record('agent-stopping', {});
    recordDelivered(100_000);
    outbox.prune();
    expect(oldest(3)).toEqual([10, 11, 12]);
  });

  test('forgets no more than it must at once', () => {
    recordDelivered(102_100);
    outbox.prune();
    expect(oldest(1)).toEqual([2001]);
    outbox.prune();
    expect(oldest(1)).toEqual([2101]);
  });

  test('tells listeners until they stop listening', () => {
    const heard: string[] = [];
    const stop = outbox.onRecorded((type) => heard.push(type));
    outbox.record('vault-problem', problem);
    stop();
    outbox.record('vault-problem', problem);
    expect(heard).toEqual(['vault-problem']);
  });
});
