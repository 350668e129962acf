import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { ListedRecording } from '../../dock/camera/camera.ts';
import { sourceKeyOf, type CatalogueEntry } from '../vault/catalogue.ts';

/** What is to be done about one listed recording. */
export type PlanStep =
  | { readonly kind: 'pull'; readonly recording: ListedRecording }
  | { readonly kind: 'held'; readonly recording: ListedRecording; readonly entry: CatalogueEntry }
  | { readonly kind: 'refuse'; readonly recording: ListedRecording; readonly code: ErrorCode };

export interface PlanFacts {
  readonly serialNumber: string;
  readonly listed: readonly ListedRecording[];
  readonly maxRecordingBytes: number;
  /** The stored copy of a recording, if there is one. */
  readonly find: (sourceKey: string, sha256: string | undefined) => CatalogueEntry | undefined;
}

/**
 * From facts to steps; performs nothing. Every listed recording gets exactly one step. Protected recordings come
 * first, then the oldest; recordings without a time come last, by path.
 */
export function planIngest({ serialNumber, listed, maxRecordingBytes, find }: PlanFacts): PlanStep[] {
  const seenIds = new Set<string>();
  const seenKeys = new Set<string>();
  const steps = listed.map((recording): PlanStep => {
    if (recording.defect !== undefined)
      return { kind: 'refuse', recording, code: 'recording.unreadable-entry' };
    const sourceKey = sourceKeyOf(serialNumber, recording);
    if (seenIds.has(recording.id) || seenKeys.has(sourceKey)) {
      return { kind: 'refuse', recording, code: 'recording.duplicate-entry' };
    }
    seenIds.add(recording.id);
    seenKeys.add(sourceKey);
    if (BigInt(recording.sizeBytes) > BigInt(maxRecordingBytes)) {
      return { kind: 'refuse', recording, code: 'recording.too-large' };
    }
    const entry = find(sourceKey, recording.sha256);
    return entry ? { kind: 'held', recording, entry } : { kind: 'pull', recording };
  });
  return steps.sort((a, b) => byUrgency(a.recording, b.recording));
}

function byUrgency(a: ListedRecording, b: ListedRecording): number {
  if (a.isProtected !== b.isProtected) return a.isProtected ? -1 : 1;
  const difference = (a.startedAt ?? a.endedAt ?? Infinity) - (b.startedAt ?? b.endedAt ?? Infinity);
  if (difference !== 0 && !Number.isNaN(difference)) return difference;
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}
