import { tests, type Mutation } from './mutation.ts';

const never = 'if (false as boolean) {';
const proof =
  "    if (!isVerifiedCopy(proof)) throw new DockError('internal.bug', 'removal without a verified copy');\n";
const massStorage = 'dock/camera/mass-storage-camera.ts';

/** Cameras and what they say: promises 1, 2 and 6 on the hardware side. */
export const wireMutations: readonly Mutation[] = [
  {
    name: 'smp-remove-without-proof',
    story: 'whoever asks removes a recording',
    file: 'dock/camera/smp-camera.ts',
    edits: [{ find: proof, replace: '' }],
    catchers: tests('dock/smp-camera'),
  },
  {
    name: 'mtp-remove-without-proof',
    story: 'the same over MTP',
    file: 'dock/camera/mtp-removal.ts',
    edits: [{ find: proof.slice(2), replace: '' }],
    catchers: tests('dock/mtp-camera'),
  },
  {
    name: 'disk-remove-without-proof',
    story: 'the same on a disk',
    file: massStorage,
    edits: [{ find: proof, replace: '' }],
    catchers: tests('dock/mass-storage-camera'),
  },
  {
    name: 'disk-remove-other-bytes',
    story: 'another file under the name of a stored one is removed',
    file: massStorage,
    edits: [
      {
        find: 'if (read.sha256 !== proof.sha256 || read.facts.sizeBytes !== BigInt(proof.sizeBytes)) {',
        replace: never,
      },
    ],
    catchers: tests('dock/mass-storage-camera'),
  },
  {
    name: 'trust-enoent-after-an-unplug',
    story: 'a file on a disk that is gone counts as removed',
    file: 'dock/camera/storage-access.ts',
    edits: [
      {
        find: '      if (!(await this.#orLost(looking))) this.#lose(mount);\n',
        replace: '      await looking;\n',
      },
    ],
    catchers: tests('dock/mass-storage-camera'),
  },
  {
    name: 'trust-enoent-of-a-failing-disk',
    story: 'a folder that cannot be read shows its files as removed',
    file: massStorage,
    edits: [
      {
        find: '!== errors) {\n      await this.#access.expectPresent(signal);\n      const detail',
        replace: '=== -1) {\n      await this.#access.expectPresent(signal);\n      const detail',
      },
    ],
    catchers: tests('dock/mass-storage-camera'),
  },
  {
    name: 'read-a-file-that-grows',
    story: 'a recording under way is stored as it was half a minute ago',
    file: massStorage,
    edits: [
      {
        find: '      this.#expectAsListed(await this.#factsOf(file, place, signal), recording);\n',
        replace: '',
      },
    ],
    catchers: tests('dock/mass-storage-camera'),
  },
  {
    name: 'path-out-of-the-storage',
    story: 'a name on a disk leads to the files of the station',
    file: 'dock/camera/storage-path.ts',
    edits: [{ find: "text === '.' || text === '..'", replace: "text === '.'" }],
    catchers: tests('fuzz/fuzz: storage-path'),
  },
  {
    name: 'smp-any-sequence',
    story: 'a late answer to one question is taken for the answer to another',
    file: 'dock/camera/smp-client.ts',
    edits: [
      {
        find: 'const waiting = this.#waiting.get(message.sequence);',
        replace: 'const waiting = [...this.#waiting.values()][0];',
      },
    ],
    catchers: tests('dock/smp-client'),
  },
  {
    name: 'smp-any-operation',
    story: 'an echo of our own request is taken for its answer',
    file: 'protocol/smp/command.ts',
    edits: [{ find: '    message.op === expectedOp &&\n', replace: '' }],
    catchers: tests('dock/smp-client'),
  },
  {
    name: 'smp-repeat-what-must-not-be',
    story: 'a clock is set by a command that was meant for a second ago',
    file: 'dock/camera/smp-client.ts',
    edits: [{ find: "command.repeat === 'safe' && hasCode(", replace: 'hasCode(' }],
    catchers: tests('dock/smp-client'),
  },
  {
    name: 'smp-any-offset',
    story: 'a chunk of elsewhere is put into the recording',
    file: 'dock/camera/smp-camera.ts',
    edits: [{ find: '({ off }) => BigInt(off) === BigInt(offset),', replace: '() => true,' }],
    catchers: tests('dock/smp-camera', 'agent/hostile-camera: answers to questions nobody asked'),
  },
  {
    name: 'smp-window-past-a-short-chunk',
    story: 'bytes are left out where the server changes its chunk size',
    file: 'dock/camera/smp-camera.ts',
    edits: [{ find: '        requested = next;\n', replace: '' }],
    catchers: tests('dock/smp-camera'),
  },
  {
    name: 'smp-still-there-after-removal',
    story: 'a camera that only says so counts as emptied',
    file: 'dock/camera/smp-camera.ts',
    edits: [{ find: "    if (after.kind === 'ok') {\n", replace: `    ${never}\n` }],
    catchers: tests('agent/policy', 'dock/smp-camera'),
  },
  {
    name: 'smp-error-as-success',
    story: 'a removal that was refused counts as done',
    file: 'protocol/smp/failure.ts',
    edits: [{ find: '    if (groupCode !== 0)\n', replace: '    if (groupCode < 0)\n' }],
    catchers: tests('protocol/smp-vectors', 'protocol/hostile-bytes'),
  },
  {
    name: 'console-any-crc',
    story: 'what noise made of a frame is taken for a message',
    file: 'protocol/smp/console-frame.ts',
    edits: [
      { find: "    if (crc16(packet.bytes) !== 0) return this.#drop(items, 'CRC wrong');\n", replace: '' },
    ],
    catchers: tests('protocol/hostile-bytes', 'protocol/smp-vectors'),
  },
  {
    name: 'console-message-without-limit',
    story: 'a camera announces a message of 64 kB, and has it buffered',
    file: 'protocol/smp/console-frame.ts',
    edits: [
      {
        find: 'if (length > this.#limits.maxMessageBytes + 2) return',
        replace: 'if (length > 65_537) return',
      },
    ],
    catchers: tests('fuzz/fuzz: smp-console'),
  },
  {
    name: 'hid-any-crc',
    story: 'the same in HID reports',
    file: 'protocol/hid/report-frame.ts',
    edits: [
      { find: "    if (crc16(packet.bytes) !== 0) return this.#drop(items, 'CRC wrong');\n", replace: '' },
    ],
    catchers: tests('protocol/hid'),
  },
  {
    name: 'cbor-break-as-a-value',
    story: 'a broken answer counts as the empty one of a removal that succeeded',
    file: 'protocol/smp/cbor.ts',
    edits: [
      { find: "    if (holdsBreak(value)) throw new Error('a break in place of a value');\n", replace: '' },
    ],
    catchers: tests('protocol/hostile-bytes'),
  },
  {
    name: 'ptp-any-length-of-an-array',
    story: 'four bytes of a camera make the agent allocate gigabytes',
    file: 'protocol/ptp/byte-reader.ts',
    edits: [{ find: '    if (count * itemBytes > this.remaining) {\n', replace: `    ${never}\n` }],
    catchers: tests('protocol/ptp'),
  },
  {
    name: 'ptp-any-transaction',
    story: 'the late answer to an earlier question is taken for this one',
    file: 'dock/camera/ptp-exchange.ts',
    edits: [
      {
        find: 'if (this.ignoresHeader || operation === ptpOperation.closeSession) return false;',
        replace: 'if (operation > 0) return false;',
      },
    ],
    catchers: tests('dock/mtp-camera'),
  },
  {
    name: 'ptp-short-data',
    story: 'a window with fewer bytes than the camera says it sent is taken for whole',
    file: 'dock/camera/mtp-reading.ts',
    edits: [
      {
        find: 'if (answer.code === ptpResponse.ok && stated !== undefined && stated !== filled) {',
        replace: 'if (false as boolean) {',
      },
    ],
    catchers: tests('dock/mtp-camera: loses a packet'),
  },
  {
    name: 'ptp-another-size',
    story: 'an object that has another size than listed is read on',
    file: 'dock/camera/mtp-reading.ts',
    edits: [
      {
        find: 'if (sizeBytes === undefined || BigInt(sizeBytes) !== BigInt(listedBytes)) {',
        replace: 'if (sizeBytes === undefined) {',
      },
    ],
    catchers: tests('dock/mtp-camera'),
  },
  {
    name: 'ptp-remove-without-a-look',
    story: 'a camera that only says so counts as emptied',
    file: 'dock/camera/mtp-removal.ts',
    edits: [
      {
        find: "  if (after.kind === 'object') throw refused(recording, 'it is still there');\n",
        replace: '',
      },
      { find: "  if (isLeft) throw refused(recording, 'its folder still lists it');\n", replace: '' },
    ],
    catchers: tests('dock/mtp-camera'),
  },
  {
    name: 'helper-mounts-any-port',
    story: 'a request for the port of the system disk is served as root',
    file: 'dock/host/dock-helper.sh',
    edits: [{ find: '  is_bay "$1" || refuse not-a-bay "$1 is not listed in $ports"\n', replace: '' }],
    catchers: tests('dock/dock-helper'),
  },
  {
    name: 'helper-takes-any-request',
    story: 'what is no request reaches the shell',
    file: 'dock/host/dock-helper.sh',
    edits: [
      {
        find: "  [[ $line =~ ^[a-z][a-z-]{1,20}(\\ [0-9.-]{1,40}){1,3}$ ]] || refuse malformed 'not a request'\n",
        replace: '',
      },
    ],
    catchers: tests('dock/dock-helper', 'fuzz/fuzz'),
  },
];
