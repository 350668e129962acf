import { seeds, tests, type Mutation } from './mutation.ts';

const never = 'if (false as boolean) {';
const intake = 'agent/vault/intake.ts';
const vault = 'agent/vault/vault.ts';
const pull = 'agent/ingest/pull.ts';
const commitCall =
  '    const damagedPath = commitRecording(this.#parts, sidecar, { ...row, cameraDigest });\n';

const commitEarly = commitCall.replace('const damagedPath = ', '');

/** Promises 1 and 2: no loss, no change. */
export const storingMutations: readonly Mutation[] = [
  {
    name: 'skip-file-fsync',
    story: 'a power cut leaves zeros where the catalogue says a recording is',
    file: intake,
    edits: [{ find: '    await this.#guard(() => this.#file.sync());\n', replace: '' }],
    catchers: [seeds(1, 60), ...tests('vault/commit-rule')],
  },
  {
    name: 'skip-folder-fsync',
    story: 'a power cut takes the name of a file that is catalogued',
    file: intake,
    edits: [{ find: '      await disk.syncFolder(dirname(finalPath));\n', replace: '' }],
    catchers: [seeds(1, 60), ...tests('vault/commit-rule')],
  },
  {
    name: 'skip-parent-folder-fsync',
    story: 'a power cut takes a new folder with all that was stored in it',
    file: 'agent/vault/node-disk.ts',
    edits: [{ find: '        await syncFolder(dirname(made));\n', replace: '        dirname(made);\n' }],
    catchers: tests('vault/node-disk'),
  },
  {
    name: 'skip-file-fsync-on-the-disk',
    story: 'the sync that everybody waits for does nothing',
    file: 'agent/vault/node-disk.ts',
    edits: [{ find: 'guarded(() => this.#handle.datasync())', replace: 'guarded(async () => undefined)' }],
    catchers: tests('vault/node-disk'),
  },
  {
    name: 'database-without-full-sync',
    story: 'a power cut takes back what was committed, after the camera was emptied',
    file: 'agent/state/database.ts',
    edits: [{ find: 'PRAGMA synchronous = FULL;', replace: 'PRAGMA synchronous = NORMAL;' }],
    catchers: tests('config/database'),
  },
  {
    name: 'link-before-read-back',
    story: 'a file that was never read back stands under its final name',
    file: intake,
    edits: [
      {
        find: '      await disk.dropCache(part);\n',
        replace: '      await disk.link(part, finalPath);\n      await disk.dropCache(part);\n',
      },
      { find: '      await disk.link(part, finalPath);\n    });\n', replace: '    });\n' },
    ],
    catchers: tests('vault/commit-rule'),
  },
  {
    name: 'remove-before-read-back',
    story: 'a recording is removed from its camera while its copy is still being read back',
    file: intake,
    edits: [
      {
        find: '      const back = await hashFile(this.#file, { signal, expectedBytes: sizeBytes });\n      if (',
        replace:
          '      void hashFile(this.#file, { signal, expectedBytes: sizeBytes }).catch(() => undefined);\n      const back = { sha256, sizeBytes };\n      if (',
      },
    ],
    catchers: [seeds(1, 200), ...tests('vault/commit-rule')],
  },
  {
    name: 'skip-read-back',
    story: 'a bit that the disk changed is never noticed',
    file: intake,
    edits: [
      {
        find: 'if (back.sha256 !== sha256 || back.sizeBytes !== sizeBytes) {',
        replace: 'if (back.sizeBytes !== sizeBytes) {',
      },
    ],
    catchers: tests('vault/commit-rule'),
  },
  {
    name: 'read-back-from-memory',
    story: 'what is read back comes from the cache, not from the disk',
    file: intake,
    edits: [{ find: '      await disk.dropCache(part);\n', replace: '' }],
    catchers: tests('vault/commit-rule'),
  },
  {
    name: 'commit-before-link',
    story: 'the catalogue names a file that is not there yet',
    file: intake,
    edits: [
      {
        find: '      await disk.link(part, finalPath);\n',
        replace: `${commitEarly}      await disk.link(part, finalPath);\n`,
      },
      { find: commitCall, replace: '    const damagedPath = undefined;\n' },
    ],
    catchers: tests('vault/commit-rule'),
  },
  {
    name: 'proof-without-commit',
    story: 'the camera is emptied of what the catalogue does not know',
    file: intake,
    edits: [{ find: commitCall, replace: '    const damagedPath = undefined;\n' }],
    catchers: tests('vault/commit-rule'),
  },
  {
    name: 'trust-the-part-after-a-failed-sync',
    story: 'pages that the disk lost are gone on with',
    file: intake,
    edits: [
      {
        find: 'if (hasCode(error, ...suspectCodes)) this.discard();',
        replace: 'if (hasCode(error, ...suspectCodes)) void 0;',
      },
    ],
    catchers: tests('vault/commit-rule'),
  },
  {
    name: 'resume-without-digest',
    story: 'a part that changed on the disk is gone on with',
    file: vault,
    edits: [
      { find: "    if (hash.copy().digest('hex') !== row.durableSha256) return undefined;\n", replace: '' },
    ],
    catchers: tests('vault/commit-rule'),
  },
  {
    name: 'resume-behind-the-durable-byte',
    story: 'bytes that no sync vouched for stay in the recording',
    file: vault,
    edits: [{ find: '    await file.truncate(row.durableBytes);\n', replace: '' }],
    catchers: tests('vault/commit-rule'),
  },
  {
    name: 'adopt-without-digest',
    story: 'a file that a crash left by halves becomes a stored recording',
    file: vault,
    edits: [{ find: ' || found.sha256 !== row.durableSha256) {', replace: ') {' }],
    catchers: tests('vault/recover'),
  },
  {
    name: 'adopt-without-folder-fsync',
    story: 'an adopted file loses its name in the next power cut',
    file: vault,
    edits: [{ find: '    await disk.syncFolder(dirname(finalPath));\n', replace: '' }],
    catchers: tests('vault/recover'),
  },
  {
    name: 'drop-a-part-that-is-needed',
    story: 'every restart begins a long recording anew',
    file: vault,
    edits: [{ find: 'if (isPart(path) && !keptParts.has(path))', replace: 'if (isPart(path))' }],
    catchers: tests('vault/recover'),
  },
  {
    name: 'drop-a-part-that-is-pulled',
    story: 'one bay makes room with the file of another',
    file: vault,
    edits: [
      {
        find: 'if (this.#reserved.has(row.sourceKey) || row.durableBytes === 0) continue;',
        replace: 'if (row.durableBytes === 0) continue;',
      },
    ],
    catchers: tests('vault/disk-full: room on the disk'),
  },
  {
    name: 'forget-the-reserve',
    story: 'recordings fill the disk to the last byte, and the database cannot write',
    file: vault,
    edits: [{ find: 'bytes + others + this.#options.reserveBytes', replace: 'bytes + others' }],
    catchers: tests('vault/disk-full: room on the disk'),
  },
  {
    name: 'promise-room-twice',
    story: 'two bays count on the same free bytes',
    file: vault,
    edits: [
      {
        find: '(key === sourceKey ? sum : sum + value)',
        replace: '(key === sourceKey || value > 0 ? sum : sum)',
      },
    ],
    catchers: tests('vault/disk-full: room on the disk'),
  },
  {
    name: 'verify-by-size-alone',
    story: 'bit rot passes for a proof, and the camera is emptied',
    file: vault,
    edits: [
      {
        find: 'if (sizeBytes !== entry.sizeBytes || sha256 !== entry.sha256) {',
        replace: 'if (sizeBytes !== entry.sizeBytes) {',
      },
    ],
    catchers: tests('vault/recover'),
  },
  {
    name: 'ignore-a-short-read',
    story: 'a recording that ends early is taken for whole',
    file: pull,
    edits: [{ find: 'if (intake.receivedBytes !== sizeBytes) {', replace: never }],
    catchers: tests('vault/pull'),
  },
  {
    name: 'ignore-a-size-mismatch',
    story: 'a camera that never stops fills the disk',
    file: pull,
    edits: [{ find: 'if (intake.receivedBytes + chunk.length > sizeBytes) {', replace: never }],
    catchers: tests('vault/pull'),
  },
  {
    name: 'ignore-a-digest-mismatch',
    story: 'what the line changed is stored as what the camera held',
    file: pull,
    edits: [{ find: '  if (stated !== sha256)\n', replace: '  if (stated.length !== sha256.length)\n' }],
    catchers: tests('vault/pull'),
  },
  {
    name: 'keep-what-the-digest-refused',
    story: 'the next try goes on from bytes that are known to be wrong',
    file: pull,
    edits: [
      {
        find: 'if (isSuspect || !(await isWorthKeeping(request))) intake.discard();',
        replace: 'void isSuspect;',
      },
    ],
    catchers: tests('vault/pull'),
  },
  {
    name: 'skip-the-identity-before-the-commit',
    story: 'a camera swapped in the middle is stored under the name of the other',
    file: pull,
    edits: [{ find: '    await expectSameCamera(camera, context.serialNumber, signal);\n', replace: '' }],
    catchers: tests('vault/pull'),
  },
  {
    name: 'resume-the-part-of-another-session-without-digest',
    story: 'two recordings with one name are stored as one',
    file: pull,
    edits: [
      { find: 'intake.begunInSession === context.sessionId) {', replace: "intake.begunInSession !== '') {" },
    ],
    catchers: tests('vault/pull'),
  },
  {
    name: 'name-from-the-camera-as-it-is',
    story: 'a file name of a camera leads out of the vault',
    file: 'agent/vault/safe-name.ts',
    edits: [
      {
        find: "  const plain = last.replace(/[^A-Za-z0-9._-]/g, '_').replace(/^[._-]+/, '');",
        replace: '  const plain = last;',
      },
    ],
    catchers: tests('vault/commit-rule', 'fuzz/fuzz'),
  },
];
