// The simulator is also a camera's own agent, over real files: a file that grew after its digest was taken must not be
// removed on the strength of that digest.
import { appendFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../dock/host/system-clock.ts';
import { cameraFaults } from '../../dock/simulator/faults.ts';
import { FolderStore } from '../../dock/simulator/recording-store.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import {
  cameraListEntry,
  cameraListRecordings,
  cameraPollDigest,
  cameraRemove,
  cameraStartDigest,
} from '../../protocol/smp/camera-group.ts';
import {
  encodeRequest,
  parseAnswer,
  type AnySmpCommand,
  type RequestOf,
} from '../../protocol/smp/command.ts';
import { decodeSmpMessage, encodeSmpMessage } from '../../protocol/smp/message.ts';

function asker(folder: string) {
  const camera = sampleCamera({ serialNumber: 'BC-1', store: new FolderStore(folder) }, systemClock);
  return <C extends AnySmpCommand>(command: C, body: RequestOf<C>) => {
    const [answer] = camera.server.answer(encodeSmpMessage(encodeRequest(command, body, 1)));
    return parseAnswer(command, decodeSmpMessage(answer!).message);
  };
}

test('a file that grew since its digest was taken is not removed, and removed with the digest of what it is', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dock-folder-'));
  try {
    const file = join(folder, 'REC1.MP4');
    writeFileSync(file, 'a recording');
    const ask = asker(folder);
    const idOf = (): string => {
      const answer = ask(cameraListRecordings, { from: 0 });
      if (answer.kind !== 'ok') throw new Error('no list');
      return cameraListEntry.parse(answer.body.list[0]).id;
    };
    const digestOf = async (id: string): Promise<Uint8Array> => {
      expect(ask(cameraStartDigest, { id }).kind).toBe('ok');
      for (;;) {
        const answer = ask(cameraPollDigest, { id });
        if (answer.kind !== 'ok') throw new Error('no digest');
        if (answer.body.sha) return answer.body.sha;
        await systemClock.sleep(1);
      }
    };
    const id = idOf();
    const stale = await digestOf(id);
    appendFileSync(file, ', still going on');
    expect(ask(cameraRemove, { id, sha: stale })).toMatchObject({ kind: 'failed', code: 4 });
    expect(existsSync(file)).toBe(true);
    expect(ask(cameraRemove, { id: idOf(), sha: await digestOf(idOf()) }).kind).toBe('ok');
    expect(existsSync(file)).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a fault that is said to be false is off', () => {
  expect(cameraFaults.parse({ silent: 'false', logText: 'true' })).toEqual({ silent: false, logText: true });
  expect(cameraFaults.safeParse({ silent: 'perhaps' }).success).toBe(false);
});
