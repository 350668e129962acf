import { join } from 'node:path';
import type { Config } from './schema.ts';

/** Where the agent listens for dockctl. */
export function socketPathOf(config: Config): string {
  return join(config.state.folder, 'control.sock');
}
