import type { AgentHost } from '../agent-host.ts';
import type { Station } from '../station.ts';
import { Scrub } from '../vault/scrub.ts';
import { Maintenance } from './maintenance.ts';

const dayMs = 24 * 3600 * 1000;

/** What a station does for itself while it has nothing else to do. Resolves when `signal` aborts; never rejects. */
export async function runUpkeep(
  station: Station,
  { backups }: AgentHost,
  signal: AbortSignal,
): Promise<void> {
  if (!backups) return;
  const { config, board } = station;
  const { hour_utc: hour, scrub_bytes_per_second: bytesPerSecond, scrub_days } = config.maintenance;
  const isBusy = (): boolean => board.all().some(({ phase }) => phase === 'pulling');
  const scrub = new Scrub({ ...station, isBusy, bytesPerSecond, everyMs: scrub_days * dayMs });
  await new Maintenance({ ...station, backups, scrub, hour }).run(signal);
}
