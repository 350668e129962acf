/** What a simulated responder does differently; all may be changed while it runs. Names of devices: who taught it. */
export interface PtpFaults {
  /** The header of a data container comes alone in a short packet. */
  splitHeader: boolean;
  /** The response comes in the same transfer as the data (a Linux xHCI case in go-mtpfs). */
  gluedResponse: boolean;
  /** What follows data that fills its last packet: umtprd, QEMU, libmtp's NO_ZERO_READS. */
  afterAligned: 'empty packet' | 'nothing' | 'one byte';
  /** Before each answer comes one to an earlier transaction. */
  strayResponses: boolean;
  /** So many events before each answer, in the bulk pipe. */
  eventsBeforeAnswer: number;
  /** Response codes for the next transactions of an operation, instead of doing them. */
  readonly refuse: {
    readonly operation: number;
    /** Only transactions with this among their parameters. */
    readonly parameter?: number;
    readonly code: number;
    times: number;
  }[];
  /** Sizes in ObjectInfo have 64 bits (Samsung). */
  wideObjectInfo: boolean;
  /** Sizes in ObjectInfo and in container headers are modulo 2^32 (umtprd before 1.9). */
  sizesModulo32: boolean;
  /** Headers of data do not tell its length: only a short packet ends it. */
  hidesLengths: boolean;
  /** The packet of a recording that begins here in its data is lost. Once. */
  losesPacketAt: number | undefined;
  /** So many bytes of recordings are sent, then the transfer stops in the middle. Once. */
  dieAfterBytes: number | undefined;
  /** The cable is pulled after so many bytes from the camera. */
  unplugAfterBytes: number | undefined;
  /** A read beyond the end of an object is never answered. */
  hangAfterEnd: boolean;
  /** So many times there are no storages yet. */
  lateStorages: number;
  /** DeleteObject is refused with this code. */
  refuseRemoval: number | undefined;
  /** DeleteObject is answered with OK, and nothing happens. */
  keepsRemoved: boolean;
  /** Nothing answers, or reads of recordings do not, or nothing does until that rung of the recovery. */
  silent: 'everything' | 'downloads' | 'until reopened' | 'until reset' | 'until class reset' | undefined;
  /** About one of N answers is lost; 0 for none. */
  loseOneIn: number;
  /** The object is not cleared away by a cancel: all of it has to be read (old kernels). */
  ignoresCancel: boolean;
  /** A cancel at rest makes the camera leave the bus (umtprd 1.3). */
  leavesWhenCancelledIdle: boolean;
  /** Handles mean something else in each session (umtprd). */
  renumbers: boolean;
  clockNeverSet: boolean;
  /** Ends the times it states: '', 'Z', '+0500', '.0'. */
  timeSuffix: string;
  batteryLevel: number;
  hasBatteryRange: boolean;
  /** After SetDevicePropValue comes a second response (umtprd). */
  answersDataTwice: boolean;
}

export function noPtpFaults(): PtpFaults {
  return {
    splitHeader: false,
    gluedResponse: false,
    afterAligned: 'empty packet',
    strayResponses: false,
    eventsBeforeAnswer: 0,
    refuse: [],
    wideObjectInfo: false,
    sizesModulo32: false,
    hidesLengths: false,
    losesPacketAt: undefined,
    dieAfterBytes: undefined,
    unplugAfterBytes: undefined,
    hangAfterEnd: true,
    lateStorages: 0,
    refuseRemoval: undefined,
    keepsRemoved: false,
    silent: undefined,
    loseOneIn: 0,
    ignoresCancel: false,
    leavesWhenCancelledIdle: true,
    renumbers: true,
    clockNeverSet: false,
    timeSuffix: '',
    batteryLevel: 80,
    hasBatteryRange: true,
    answersDataTwice: false,
  };
}
