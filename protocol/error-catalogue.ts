/**
 * What kind of remedy an error calls for. What is done about each is decided in one place,
 * agent/session/remedy.ts.
 *
 * - `retry`: the same request may simply be repeated
 * - `reopen`: close the connection and open a fresh one
 * - `power-cycle`: the device needs to be switched off and on
 * - `refuse`: a rule says no; repeating it changes nothing
 * - `operator`: a person has to do something first
 * - `bug`: an invariant of this program is broken
 */
export type Disposition = 'retry' | 'reopen' | 'power-cycle' | 'refuse' | 'operator' | 'bug';

interface CatalogueEntry {
  readonly disposition: Disposition;
  /** One clause, without a full stop: messages append their detail after a colon. */
  readonly meaning: string;
  /** What a technician does now. */
  readonly nextStep: string;
}

/** Codes are stable: they appear in events, in `--json` output and in the custody record. */
export const errorCatalogue = {
  'internal.bug': {
    disposition: 'bug',
    meaning: 'unexpected condition in the agent',
    nextStep: 'Report it with the log lines around this moment.',
  },
  'internal.stopping': {
    disposition: 'retry',
    meaning: 'the agent is stopping',
    nextStep: 'Nothing: the work resumes at the next start.',
  },

  'wire.malformed': {
    disposition: 'retry',
    meaning: 'the bytes received do not form a valid message',
    nextStep: 'If it recurs, clean the contacts of the bay and try the camera in another bay.',
  },
  'wire.timeout': {
    disposition: 'retry',
    meaning: 'no answer in time',
    nextStep: 'Check that the camera is switched on and seated; then try another bay.',
  },
  'wire.too-large': {
    disposition: 'refuse',
    meaning: 'the message does not fit the size the other side can take',
    nextStep: 'Check the camera firmware: its message buffer is too small.',
  },
  'link.closed': {
    disposition: 'reopen',
    meaning: 'the connection to the camera is gone',
    nextStep: 'Seat the camera again; the work resumes where it stopped.',
  },
  'link.open-failed': {
    disposition: 'reopen',
    meaning: 'the port cannot be opened',
    nextStep: 'Check the path in the configuration and that the service may read and write the port.',
  },

  'usb.stall': {
    disposition: 'retry',
    meaning: 'the device halted the endpoint',
    nextStep: 'Nothing, if it stays a single case; else try another cable and another bay.',
  },
  'usb.transfer-failed': {
    disposition: 'reopen',
    meaning: 'the USB transfer failed',
    nextStep: 'Try another cable and another bay.',
  },
  'ptp.rejected': {
    disposition: 'refuse',
    meaning: 'the camera refused a PTP operation',
    nextStep: 'Look up the response code in the PTP standard; report model and firmware version.',
  },

  'smp.unsupported': {
    disposition: 'refuse',
    meaning: 'the camera does not support this command',
    nextStep: 'Check the camera firmware against the camera group specification.',
  },
  'smp.busy': {
    disposition: 'retry',
    meaning: 'the camera is busy with another command',
    nextStep: 'Wait; the agent tries again by itself.',
  },
  'smp.rejected': {
    disposition: 'refuse',
    meaning: 'the camera answered with an error',
    nextStep: 'Look up the group and code in the specification of the group.',
  },
  'smp.bad-response': {
    disposition: 'refuse',
    meaning: 'the answer does not have the form the specification asks for',
    nextStep: 'The firmware of this camera violates the specification: report model and firmware version.',
  },

  'camera.identity-invalid': {
    disposition: 'refuse',
    meaning: 'the camera states an identity that cannot be accepted',
    nextStep: 'Have the serial number of the camera programmed correctly by its maker.',
  },
  'camera.identity-changed': {
    disposition: 'reopen',
    meaning: 'another camera answered in the middle of the session',
    nextStep: 'Leave one camera in the bay until its lamp says ready.',
  },
  'camera.duplicate-serial': {
    disposition: 'operator',
    meaning: 'two docked cameras state the same serial number',
    nextStep: 'Take both out and find out which one is genuine before docking one of them again.',
  },
  'camera.impostor': {
    disposition: 'operator',
    meaning: 'the camera could not prove that it is the enrolled one',
    nextStep: 'Keep the camera aside and report it: its key does not match the enrolled key.',
  },
  'camera.no-health': {
    disposition: 'retry',
    meaning: 'the camera did not report its health',
    nextStep: 'Nothing, if it stays a single case.',
  },
  'camera.listing-endless': {
    disposition: 'operator',
    meaning: 'the camera lists more recordings than a camera can hold',
    nextStep: 'What was listed up to the limit is pulled. Check the camera storage on a computer.',
  },
  'camera.clock-unset': {
    disposition: 'refuse',
    meaning: 'the clock of the camera has never been set',
    nextStep: 'Nothing: the agent sets it when the station clock is synchronised.',
  },
  'camera.clock-unsettled': {
    disposition: 'operator',
    meaning: 'the clock of the camera does not keep the time it was set to',
    nextStep: 'The backup battery of the camera clock may be dead: have it checked.',
  },

  'recording.duplicate-entry': {
    disposition: 'refuse',
    meaning: 'the camera lists the same recording twice',
    nextStep: 'The first entry is processed. Check the camera storage on a computer.',
  },
  'recording.unreadable-entry': {
    disposition: 'refuse',
    meaning: 'the camera lists an entry that violates the specification',
    nextStep: 'Check the camera storage on a computer; report model and firmware version.',
  },
  'recording.too-large': {
    disposition: 'refuse',
    meaning: 'the stated size is beyond what a recording can be',
    nextStep: 'Check the camera storage on a computer; the file table may be damaged.',
  },
  'recording.vanished': {
    disposition: 'refuse',
    meaning: 'the recording was listed but cannot be read any more',
    nextStep: 'Check the camera storage on a computer.',
  },
  'recording.size-mismatch': {
    disposition: 'refuse',
    meaning: 'the camera delivered another number of bytes than it listed',
    nextStep: 'The recording stays on the camera. It is tried again at the next docking.',
  },
  'recording.digest-mismatch': {
    disposition: 'retry',
    meaning: 'the bytes received do not match the digest of the camera',
    nextStep: 'The recording stays on the camera. It is tried again at the next docking.',
  },
  'recording.stalled': {
    disposition: 'retry',
    meaning: 'the camera stopped delivering this recording',
    nextStep: 'The recording stays on the camera. It is tried again at the next docking.',
  },
  'recording.not-enrolled': {
    disposition: 'refuse',
    meaning: 'recordings of a camera that is not enrolled are not touched',
    nextStep: 'Enrol the camera, or retire another one to free a place.',
  },

  'removal.refused': {
    disposition: 'refuse',
    meaning: 'the camera refused to remove a recording',
    nextStep: 'The copy on the station is safe. Check the storage of the camera.',
  },

  'vault.disk-full': {
    disposition: 'operator',
    meaning: 'the disk of the vault has no room for this recording',
    nextStep: 'Free space or archive. The agent goes on by itself as soon as there is room.',
  },
  'vault.disk-error': {
    disposition: 'operator',
    meaning: 'the disk of the vault failed',
    nextStep: 'Check the disk (smartctl, dmesg). Recordings stay on the cameras until it works.',
  },
  'vault.read-back-mismatch': {
    disposition: 'retry',
    meaning: 'what was read back from the disk is not what was written',
    nextStep: 'The copy was thrown away and is pulled again. If it recurs, replace the disk.',
  },
  'vault.file-missing': {
    disposition: 'operator',
    meaning: 'the catalogue names a file that is not in the vault',
    nextStep: 'Look for the file in backups; find out who removed it.',
  },
  'vault.file-damaged': {
    disposition: 'operator',
    meaning: 'a stored recording no longer matches its digest',
    nextStep: 'Replace the disk and restore the file from the archive or pull it again if the camera has it.',
  },

  'enrolment.quota-full': {
    disposition: 'refuse',
    meaning: 'the norm allows no more cameras at this post',
    nextStep: 'Retire a camera that is lost, broken or at the end of its service life (dockctl retire).',
  },
  'enrolment.manual': {
    disposition: 'operator',
    meaning: 'this camera is not enrolled and the post enrols by hand',
    nextStep: 'Enrol it with: dockctl enrol SERIAL',
  },
  'enrolment.retired': {
    disposition: 'operator',
    meaning: 'this camera has been retired',
    nextStep: 'If it is back in service, enrol it again with: dockctl enrol SERIAL',
  },
  'enrolment.unknown-camera': {
    disposition: 'refuse',
    meaning: 'no camera with this serial number is known',
    nextStep: 'List the known cameras with: dockctl cameras',
  },
  'enrolment.no-headcount': {
    disposition: 'operator',
    meaning: 'the headcount of the post is not configured, so its norm is unknown',
    nextStep: 'Set headcount under [post] in the configuration.',
  },

  'clock.station-untrusted': {
    disposition: 'operator',
    meaning: 'the clock of the station is not synchronised, so camera clocks are not set',
    nextStep: 'Check chrony (chronyc tracking) and the network.',
  },

  'config.invalid': {
    disposition: 'operator',
    meaning: 'the configuration is not valid',
    nextStep: 'Correct the places named; dockctl config explain describes every key.',
  },
  'config.unreadable': {
    disposition: 'operator',
    meaning: 'the configuration file cannot be read',
    nextStep: 'Check the path and its permissions.',
  },

  'state.locked': {
    disposition: 'operator',
    meaning: 'another agent uses this state folder',
    nextStep: 'Stop the other agent, or give this one a state folder of its own.',
  },
  'state.unusable': {
    disposition: 'operator',
    meaning: 'the state folder cannot be used',
    nextStep: 'Give the service a folder it may write, with a path short enough for a socket (state.folder).',
  },
  'state.damaged': {
    disposition: 'operator',
    meaning: 'the database of the station is damaged',
    nextStep: 'Stop the agent, keep the file, restore the latest backup.',
  },
  'state.too-new': {
    disposition: 'operator',
    meaning: 'the database was written by a newer version of the agent',
    nextStep: 'Install that version again; going back needs a backup from before the upgrade.',
  },

  'broker.unreachable': {
    disposition: 'retry',
    meaning: 'the MQTT broker cannot be reached',
    nextStep: 'Events are kept and delivered later. Check network, address and credentials.',
  },
  'broker.port-in-use': {
    disposition: 'operator',
    meaning: 'the port of the embedded MQTT broker is taken',
    nextStep: 'Choose another port under [broker], or name an existing broker with url.',
  },

  'control.agent-down': {
    disposition: 'operator',
    meaning: 'no agent answers on the control socket',
    nextStep:
      'Start it (systemctl start dock-agent, or npm run agent in a checkout), or name its socket with --socket.',
  },
  'control.bad-request': {
    disposition: 'refuse',
    meaning: 'the request is not valid',
    nextStep: 'See dockctl --help.',
  },
  'control.unknown': {
    disposition: 'refuse',
    meaning: 'the agent does not know this request',
    nextStep: 'Agent and dockctl may be of different versions: compare dockctl --version.',
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorCatalogue, text);
}
