/** A PTP date: `YYYYMMDDThhmmss`, perhaps tenths, perhaps a zone. Most cameras give no zone and mean local time. */
export interface PtpDate {
  /** The digits read as if they were UTC, milliseconds since 1970. */
  readonly digitsAt: number;
  /** Minutes east of UTC, where the text states a zone; 0 for Z. */
  readonly zoneMinutes?: number;
}

/** Undefined for what is no date; cameras send empty strings and nonsense. */
export function parsePtpDate(text: string): PtpDate | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(?:\.(\d{1,3}))?(Z|[+-]\d{4})?$/.exec(text.trim());
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '0', zone] = match;
  const digitsAt = Date.parse(
    `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, '0')}Z`,
  );
  if (Number.isNaN(digitsAt)) return undefined;
  if (zone === undefined) return { digitsAt };
  if (zone === 'Z') return { digitsAt, zoneMinutes: 0 };
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3));
  return { digitsAt, zoneMinutes: zone.startsWith('-') ? -minutes : minutes };
}

/** The instant a date means: its own zone, else the one assumed for the camera. UTC milliseconds. */
export function instantOf(date: PtpDate, assumedZoneMinutes: number): number {
  return date.digitsAt - (date.zoneMinutes ?? assumedZoneMinutes) * 60_000;
}

/** Writes an instant in the shape of a value that the camera gave: same fraction, same kind of zone. */
export function formatPtpDate(at: number, like: string, assumedZoneMinutes: number): string {
  const shape = parsePtpDate(like);
  const zoneMinutes = shape?.zoneMinutes ?? assumedZoneMinutes;
  const digits = new Date(at + zoneMinutes * 60_000).toISOString().replace(/[-:]/g, '');
  const fraction = /\.\d/.test(like) ? digits.slice(15, 17) : '';
  return `${digits.slice(0, 15)}${fraction}${/(Z|[+-]\d{4})$/.exec(like.trim())?.[0] ?? ''}`;
}
