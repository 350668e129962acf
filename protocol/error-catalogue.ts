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
  'usb.unresponsive': {
    disposition: 'power-cycle',
    meaning: 'the device is on the bus and nothing revives it',
    nextStep: 'Take the camera out, switch it off and on, and dock it again.',
  },
  'usb.access-denied': {
    disposition: 'operator',
    meaning: 'the service may not open the USB device',
    nextStep: 'Install the udev rules of the station and add the service user to their group.',
  },
  'usb.in-use': {
    disposition: 'operator',
    meaning: 'another program holds the USB device',
    nextStep: 'Stop desktop file managers, gvfs, adb and other programs that open cameras by themselves.',
  },
  'ptp.rejected': {
    disposition: 'refuse',
    meaning: 'the camera refused a PTP operation',
    nextStep: 'Look up the response code in the PTP standard; report model and firmware version.',
  },
  'ptp.busy': {
    disposition: 'retry',
    meaning: 'the camera is busy',
    nextStep: 'Wait; the agent tries again by itself.',
  },
  'ptp.access-denied': {
    disposition: 'operator',
    meaning: 'the camera does not give access to its storage',
    nextStep: 'Unlock the camera, or allow file transfer on it, and dock it again.',
  },

  'mount.helper-missing': {
    disposition: 'operator',
    meaning: 'the privileged helper of the station does not answer',
    nextStep: 'Install and start its socket: systemctl enable --now dock-helper.socket.',
  },
  'mount.refused': {
    disposition: 'operator',
    meaning: 'the storage of the camera cannot be mounted',
    nextStep: 'Only FAT and exFAT are mounted. Check the storage on a computer; it may need to be formatted.',
  },
  'mount.no-medium': {
    disposition: 'operator',
    meaning: 'the camera shows a disk without a medium',
    nextStep: 'Insert its memory card and dock it again.',
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
  'camera.unknown-model': {
    disposition: 'operator',
    meaning: 'no camera profile matches the device in the bay',
    nextStep: 'Run dockctl probe; it says why each profile does not match and can draft a new one.',
  },
  'camera.stranger': {
    disposition: 'operator',
    meaning: 'the device in the bay shows interfaces that no camera has',
    nextStep: 'Take it out and keep it aside: it pretends to be a camera. Report it.',
  },
  'camera.unlock-failed': {
    disposition: 'reopen',
    meaning: 'the camera did not come back as a storage after it was unlocked',
    nextStep: 'Seat the camera again; if it recurs, try another bay, then have the camera checked.',
  },
  'bay.faulty': {
    disposition: 'operator',
    meaning: 'the bay failed, also after its power was switched off and on',
    nextStep:
      'Clean its contacts and check its cable; dockctl faults shows whether bay or camera is to blame.',
  },
  'camera.unproven': {
    disposition: 'power-cycle',
    meaning: 'the camera shows only its storage and cannot prove that it is the enrolled one',
    nextStep: 'Take it out and seat it again: then it shows itself locked and proves its key.',
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
  'vault.read-only': {
    disposition: 'operator',
    meaning:
      'the disk of the vault takes no writes: it was mounted read-only, or the kernel made it so after an error',
    nextStep:
      'See dmesg, check the disk, mount it for writing. The agent goes on by itself as soon as it takes writes.',
  },
  'vault.not-mounted': {
    disposition: 'operator',
    meaning: 'the folder of the vault is gone with all that was stored in it',
    nextStep: 'Mount the disk of the vault (vault.folder). Nothing is stored elsewhere meanwhile.',
  },
  'vault.slow': {
    disposition: 'operator',
    meaning: 'the disk of the vault has not answered for several seconds',
    nextStep:
      'Wait: the agent goes on by itself as soon as it answers. If it stays so, check the disk (smartctl, dmesg).',
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
  'vault.file-unknown': {
    disposition: 'operator',
    meaning: 'files in the vault that the catalogue does not know and cannot take in',
    nextStep: 'Find out where they come from; the agent leaves them alone.',
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
  'enrolment.unconfirmed': {
    disposition: 'operator',
    meaning: 'the register was restored or lost, so nobody knows whether there is a place for this camera',
    nextStep:
      'Compare dockctl cameras with the cameras of the post, correct it, then: dockctl database confirm.',
  },
  'enrolment.retired': {
    disposition: 'operator',
    meaning: 'this camera has been retired',
    nextStep: 'If it is back in service, enrol it again with: dockctl enrol SERIAL',
  },
  'enrolment.unknown-camera': {
    disposition: 'refuse',
    meaning: 'nothing with this serial number is enrolled',
    nextStep: 'List what is enrolled with: dockctl fleet',
  },
  'enrolment.no-headcount': {
    disposition: 'operator',
    meaning: 'nobody has stated the headcount of the post, so its norm is unknown',
    nextStep:
      'Install a post assignment (dockctl assignment install); without an issuer key, set headcount under [post].',
  },

  'enrolment.register-unreachable': {
    disposition: 'retry',
    meaning: 'the register of the post does not answer, so no new camera is enrolled',
    nextStep:
      'Enrolled cameras are served. Check the network and the server named under [register]; then dock it again.',
  },
  'camera.service-life-over': {
    disposition: 'operator',
    meaning: 'the service life of an enrolled camera is over',
    nextStep: 'Replace it (dockctl replace), or retire it; until then it is emptied like any other.',
  },
  'computer.service-life-over': {
    disposition: 'operator',
    meaning: 'the service life of the computer of the department is over',
    nextStep: 'Replace it: dockctl replace --computer',
  },
  'enrolment.has-computer': {
    disposition: 'refuse',
    meaning: 'the department has the computer that the norm provides',
    nextStep: 'dockctl fleet names it. Replace it (dockctl replace --computer), or retire it first.',
  },
  'register.role-taken': {
    disposition: 'refuse',
    meaning: 'this role of the register is another station already, or the post has a station of this name',
    nextStep: 'Give every station a role of its own. Who is who: dockctl register … show',
  },
  'register.refused': {
    disposition: 'refuse',
    meaning: 'the server of the register refused this',
    nextStep: 'Read the reason beside it. What the server has to have first: dockctl register --help',
  },
  'norm.unknown-edition': {
    disposition: 'refuse',
    meaning: 'the norms that were in force on that day are not known to this program',
    nextStep: 'Ask for a later day, or look the order up in the edition of that day.',
  },
  'enrolment.own-register': {
    disposition: 'operator',
    meaning: 'this station has a register of its own, so that no other post is in it',
    nextStep: 'Retire the camera here (dockctl retire … transferred) and enrol it there.',
  },
  'enrolment.at-another-post': {
    disposition: 'operator',
    meaning: 'this camera is enrolled at another post',
    nextStep: 'Have it transferred or retired there first.',
  },
  'enrolment.unknown-post': {
    disposition: 'operator',
    meaning: 'the register has no such other post',
    nextStep: 'Check department and post; the department enters its posts into the register.',
  },

  'enrolment.above-quota': {
    disposition: 'operator',
    meaning: 'more cameras are enrolled than the norm allows the post, since its headcount fell',
    nextStep: 'Nobody is thrown out and nobody new is taken. Retire the cameras that dockctl quota names.',
  },

  'assignment.no-issuer': {
    disposition: 'operator',
    meaning: 'this station has no issuer key, so it can check no post assignment',
    nextStep: 'Set issuer_key_file under [post] to the public key of the department.',
  },
  'assignment.oversize': {
    disposition: 'refuse',
    meaning: 'this is too long for a post assignment',
    nextStep: 'Check that the right file was given.',
  },
  'assignment.malformed': {
    disposition: 'refuse',
    meaning: 'this is no post assignment',
    nextStep: 'Check that the file is complete; else have the department issue it anew.',
  },
  'assignment.bad-signature': {
    disposition: 'refuse',
    meaning: 'the issuer did not sign this post assignment',
    nextStep: 'Do not use it. Ask the department whether it issued it, and with which key.',
  },
  'assignment.other-post': {
    disposition: 'refuse',
    meaning: 'the post assignment is for another post',
    nextStep: 'Compare its department and post with those under [station] in the configuration.',
  },
  'assignment.not-newer': {
    disposition: 'refuse',
    meaning: 'a post assignment with this or a higher number was installed before',
    nextStep: 'See dockctl assignment show; to go back, have the department issue it with a new number.',
  },
  'assignment.not-yet-valid': {
    disposition: 'refuse',
    meaning: 'the post assignment is not valid yet',
    nextStep: 'Install it when its time has come. If that is already so, check the clock of the station.',
  },
  'assignment.expired': {
    disposition: 'operator',
    meaning: 'the post assignment has run out',
    nextStep: 'Have the department issue a new one. The last good one stays in force until then.',
  },
  'assignment.clock-untrusted': {
    disposition: 'retry',
    meaning:
      'the clock of the station is not synchronised, so nobody can tell whether the assignment is valid',
    nextStep: 'Check chrony (chronyc tracking) and the network; the one in force stays in force.',
  },
  'assignment.missing': {
    disposition: 'operator',
    meaning: 'no post assignment is installed, so nothing new is enrolled',
    nextStep: 'Install the one of the department: dockctl assignment install FILE',
  },
  'assignment.unverified': {
    disposition: 'operator',
    meaning: 'an installed post assignment does not bear the signature of the issuer, and is passed over',
    nextStep:
      'If the key of the issuer changed, install a new one signed with it; else somebody changed the database.',
  },

  'clock.station-untrusted': {
    disposition: 'operator',
    meaning: 'the clock of the station is not synchronised, so camera clocks are not set',
    nextStep: 'Check chrony (chronyc tracking) and the network.',
  },

  'health.vault-filling': {
    disposition: 'operator',
    meaning: 'the disk of the vault is filling up',
    nextStep: 'Archive recordings or fit a larger disk before the day dockctl health names.',
  },
  'health.state-filling': {
    disposition: 'operator',
    meaning: 'the disk of the state folder is filling up',
    nextStep: 'Find out what fills it (du -x); the agent itself keeps its state small.',
  },
  'health.disk-errors': {
    disposition: 'operator',
    meaning: 'a disk of the station has had errors',
    nextStep: 'Check it (dmesg, smartctl) and plan its replacement; at once if the count grows.',
  },
  'health.disk-failing': {
    disposition: 'operator',
    meaning: 'a disk of the station says that it is failing or worn out',
    nextStep: 'Replace the disk.',
  },
  'health.memory-low': {
    disposition: 'operator',
    meaning: 'the station is short of memory',
    nextStep: 'Find out which program takes it (top); restart the service if it is the agent, and report it.',
  },
  'health.overloaded': {
    disposition: 'operator',
    meaning: 'the station has more work than its processors and disks can do',
    nextStep: 'Find out which program causes it (top); a slow disk shows as waiting.',
  },
  'health.too-hot': {
    disposition: 'operator',
    meaning: 'the station is too hot',
    nextStep: 'Clean its fans and vents, give it air.',
  },
  'health.backup-old': {
    disposition: 'operator',
    meaning: 'the newest backup of the database is old',
    nextStep: 'Look for database-problem in dockctl events, then try dockctl database backup.',
  },
  'health.bay-idle': {
    disposition: 'operator',
    meaning: 'no camera was emptied in this bay for a long time',
    nextStep: 'Dock a camera in it; if that fails, dockctl faults shows whether bay or camera is to blame.',
  },
  'health.camera-filling': {
    disposition: 'operator',
    meaning: 'the storage of a camera will soon be full',
    nextStep: 'Dock the camera; check that recordings are removed once stored ([vault] removal).',
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
    nextStep: 'The agent restores the newest good backup by itself. By hand: dockctl database restore.',
  },
  'state.lost': {
    disposition: 'operator',
    meaning: 'the database of the station is gone',
    nextStep:
      'The agent restores the newest good backup by itself, or rebuilds the catalogue from the vault.',
  },
  'state.no-backup': {
    disposition: 'operator',
    meaning: 'there is no backup of the database that can be read',
    nextStep: 'Rebuild the catalogue from the vault: dockctl database rebuild.',
  },
  'state.backup-failed': {
    disposition: 'operator',
    meaning: 'the database could not be backed up',
    nextStep: 'Check that the vault can be written and has room (dockctl health).',
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
  'broker.forbidden': {
    disposition: 'operator',
    meaning: 'the broker forbids it',
    nextStep: 'Have the access list of the broker allow this station its own topics, see docs of monitoring.',
  },
  'broker.identity-taken': {
    disposition: 'operator',
    meaning: 'another station speaks to the broker under the name of this one',
    nextStep:
      'Find the station with the same name under [station], such as one with a copied disk, and give it its own name and certificate.',
  },
  'broker.port-in-use': {
    disposition: 'operator',
    meaning: 'the port of the embedded MQTT broker is taken',
    nextStep: 'Choose another port under [broker], or name an existing broker with url.',
  },

  'session.unaccounted': {
    disposition: 'operator',
    meaning: 'the last session of a camera did not reach all that it listed',
    nextStep: 'Dock the camera again, and leave it until its bay is ready.',
  },
  'bay.unknown': {
    disposition: 'refuse',
    meaning: 'the station has no such bay',
    nextStep: 'See which there are: dockctl bays.',
  },
  'bay.paused': {
    disposition: 'refuse',
    meaning: 'the bay is paused',
    nextStep: 'Wait until the pause is over, or end it: dockctl resume.',
  },
  'camera.not-docked': {
    disposition: 'refuse',
    meaning: 'the camera is in no bay of this station',
    nextStep: 'Dock it, or ask the station it is docked at: dockctl fleet --broker URL.',
  },

  'command.malformed': {
    disposition: 'refuse',
    meaning: 'the request is not valid',
    nextStep: 'Compare it with the JSON Schemas of the contract (protocol/mqtt).',
  },
  'command.unknown': {
    disposition: 'refuse',
    meaning: 'the station does not know this command',
    nextStep: 'The capabilities in the info document of the station name what it knows.',
  },
  'command.disabled': {
    disposition: 'refuse',
    meaning: 'the station does not take this command over MQTT',
    nextStep: 'Use dockctl at the station, or add it to commands.enabled of its configuration.',
  },
  'command.expired': {
    disposition: 'refuse',
    meaning: 'the request is too old, or from the future',
    nextStep: 'Send it again with a new id; if that fails too, compare the clocks of sender and station.',
  },
  'command.clock-untrusted': {
    disposition: 'refuse',
    meaning: 'the clock of the station is not synchronised, so it cannot tell how old the request is',
    nextStep: 'Synchronise the clock of the station (chronyc tracking), or use dockctl at the station.',
  },
  'command.id-reused': {
    disposition: 'refuse',
    meaning: 'another request had this id',
    nextStep: 'Send each request with an id of its own, best a UUID.',
  },
  'command.too-many': {
    disposition: 'retry',
    meaning: 'more requests come in than the station takes',
    nextStep: 'Send at most two a second, and wait for the answers.',
  },
  'command.timeout': {
    disposition: 'retry',
    meaning: 'the command has not ended in time, and may still take effect',
    nextStep: 'Look at the events of the station, or send it again with a new id.',
  },
  'command.unsupported': {
    disposition: 'refuse',
    meaning: 'this station cannot do that',
    nextStep: 'The capabilities in the info document of the station name what it can do.',
  },

  'report.backlog': {
    disposition: 'operator',
    meaning: 'too many events wait for central monitoring, so nothing is removed from cameras',
    nextStep:
      'Bring back the connection to the broker, and the consumer that acknowledges; it goes on by itself. Limits are under [report].',
  },
  'report.full': {
    disposition: 'operator',
    meaning: 'far too many events wait for central monitoring, so no docking session begins',
    nextStep:
      'Bring back the connection to the broker, and the consumer that acknowledges; or raise the limits under [report] if the disk has room.',
  },

  'fleet.broker-away': {
    disposition: 'retry',
    meaning: 'the MQTT broker does not answer the monitor',
    nextStep:
      'Check the address (--broker), the network, and the certificates and credentials that the broker asks for (dockctl fleet --help).',
  },
  'fleet.forbidden': {
    disposition: 'operator',
    meaning: 'the broker does not let the monitor listen',
    nextStep:
      'Have the access list of the broker let this user read dock/v1/#, or narrow it down with --department, --post, --station.',
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
  'control.unknown-error': {
    disposition: 'refuse',
    meaning: 'the agent answered with an error that this dockctl does not know',
    nextStep: 'Agent and dockctl may be of different versions: compare dockctl --version.',
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorCatalogue, text);
}
