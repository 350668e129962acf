import type { BenchReport } from '../bench/report.ts';

/** The parts of the bench, in the order they run. */
export const partNames = ['single', 'tools', 'parallel', 'plug'] as const;
export type PartName = (typeof partNames)[number];

/** What the bench in the lab is told, as one JSON argument. */
export interface UsbBenchTask {
  readonly parts: readonly PartName[];
  /** One recording of the parts with one camera. */
  readonly recordingMib: number;
  /** One recording of each of several cameras. */
  readonly cameraMib: number;
  readonly rounds: number;
  /** How many cameras at once, one run each. */
  readonly cameras: readonly number[];
  readonly plugs: number;
}

export function isPartName(text: string): text is PartName {
  return (partNames as readonly string[]).includes(text);
}

export const mebibyte = 2 ** 20;
export const gibibyte = 2 ** 30;

/** The one recording that is measured; anything else on a camera is none. */
export const recordingName = 'VIDEO001.MP4';

/** Megabytes (10^6) per second, as USB and disks are rated. */
export function megabytesPerSecond(bytes: number, seconds: number): number {
  return bytes / 1e6 / seconds;
}

/** What the bench in the lab leaves for the host: of each part its report, or why there is none. */
export interface LabReports {
  readonly reports: Readonly<Partial<Record<PartName, BenchReport>>>;
  readonly failures: Readonly<Partial<Record<PartName, string>>>;
}

/** In the folder shared with the host. */
export const reportsFile = 'bench-usb.json';
