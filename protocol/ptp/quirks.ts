/** What one responder does differently; data, each with the evidence for it. */
export interface PtpQuirks {
  /** CloseSession harms: leave the session open. */
  readonly noCloseSession: boolean;
  /** Object property DC04 (64-bit size) is missing or wrong although advertised. */
  readonly noObjectSize: boolean;
  /** The widest partial read that works; 0 for none at all. */
  readonly maxPartialBytes: number;
  /** Code and transaction id in headers may be junk. */
  readonly ignoreHeader: boolean;
  /** A partial read must not end on a multiple of 512 bytes. */
  readonly avoidAlignedTail: boolean;
  readonly noBattery: boolean;
  /** Needs 60 s where others need 30. */
  readonly longTimeout: boolean;
}

export const noQuirks: PtpQuirks = {
  noCloseSession: false,
  noObjectSize: false,
  maxPartialBytes: 4 * 1024 * 1024,
  ignoreHeader: false,
  avoidAlignedTail: false,
  noBattery: false,
  longTimeout: false,
};

export interface QuirkRule {
  readonly match: {
    readonly vendorId?: number;
    readonly productId?: number;
    readonly extensionIncludes?: string;
    readonly manufacturer?: RegExp;
    readonly model?: RegExp;
  };
  readonly quirks: Partial<PtpQuirks>;
  readonly evidence: string;
}

/** Every rule that matches applies, later ones over earlier ones. */
export const quirkRules: readonly QuirkRule[] = [
  {
    match: { extensionIncludes: 'android.com' },
    quirks: { longTimeout: true },
    evidence: 'libmtp: LONG_TIMEOUT is set for every responder with android.com in its extension description',
  },
  {
    match: { extensionIncludes: 'sonyericsson.com/SE' },
    quirks: { ignoreHeader: true },
    evidence: 'libmtp: the Aricent stack needs IGNORE_HEADER_ERRORS',
  },
  {
    match: { manufacturer: /^Canon/ },
    quirks: { noCloseSession: true, maxPartialBytes: 1024 * 1024 },
    evidence:
      'libgphoto2: CloseSession breaks EOS from 2016 on; partial reads above 1 MiB fail since the EOS R',
  },
  {
    match: { manufacturer: /^FUJI/i },
    quirks: { maxPartialBytes: 0 },
    evidence: 'libgphoto2: Fuji cameras misbehave with partial reads and are read whole',
  },
  {
    match: { vendorId: 0x091e },
    quirks: { longTimeout: true },
    evidence: 'libmtp: Garmin devices carry the flags of Android, LONG_TIMEOUT among them',
  },
  {
    match: { vendorId: 0x04e8 },
    quirks: { avoidAlignedTail: true },
    evidence: 'libmtp: SAMSUNG_OFFSET_BUG, hangs when the tail of a partial read ends on a packet boundary',
  },
  {
    match: { model: /uMTP/i },
    quirks: { noBattery: true },
    evidence: 'umtprd 1.3.10 and 1.9.1: BatteryLevel is a constant, 0x8000 or 0, in no range of its own',
  },
];

export function quirksFor(device: {
  vendorId: number;
  productId: number;
  extensionDescription: string;
  manufacturer: string;
  model: string;
}): PtpQuirks {
  return quirkRules
    .filter(({ match }) => {
      if (match.vendorId !== undefined && match.vendorId !== device.vendorId) return false;
      if (match.productId !== undefined && match.productId !== device.productId) return false;
      if (
        match.extensionIncludes !== undefined &&
        !device.extensionDescription.includes(match.extensionIncludes)
      ) {
        return false;
      }
      return (
        (match.manufacturer?.test(device.manufacturer) ?? true) && (match.model?.test(device.model) ?? true)
      );
    })
    .reduce<PtpQuirks>((quirks, rule) => ({ ...quirks, ...rule.quirks }), noQuirks);
}
