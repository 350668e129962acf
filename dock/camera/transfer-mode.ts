import { DockError, hasCode } from '../../protocol/errors.ts';
import { cameraReadMode, cameraSetMode, transferModes } from '../../protocol/smp/camera-group.ts';
import type { SmpClient } from './smp-client.ts';

/** A mode in which a camera shows its recordings on USB by itself. */
export type StorageMode = Exclude<(typeof transferModes)[number], 'control'>;

/**
 * Asks the camera to show itself as a storage (camera group, command 6). Resolves when it has agreed; it leaves the
 * bus then and comes back as something else. A link that closes on the request counts as agreed: the answer was lost,
 * and what comes back will tell. Errors: `smp.unsupported`, `smp.rejected`, `wire.timeout`, `link.closed`.
 */
export async function switchTransferMode(
  client: SmpClient,
  storage: StorageMode,
  signal: AbortSignal,
): Promise<void> {
  const mode = transferModes.indexOf(storage);
  // Asked first, so that a link which closes afterwards is known to have been open for the request.
  const { modes } = await client.call(cameraReadMode, {}, signal);
  if (!modes.includes(mode)) {
    throw new DockError('smp.unsupported', `${cameraSetMode.name}: the camera has no mode ${storage}`);
  }
  try {
    await client.call(cameraSetMode, { mode }, signal);
  } catch (error) {
    if (!hasCode(error, 'link.closed')) throw error;
  }
}
