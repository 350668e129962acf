import { join } from 'node:path';
import type { Config } from './schema.ts';

/** Where the agent listens for dockctl. */
export function socketPathOf(config: Config): string {
  return join(config.state.folder, 'control.sock');
}

export function databaseFileOf(config: Config): string {
  return join(config.state.folder, 'station.db');
}

export function vaultFolderOf(config: Config): string {
  return config.vault.folder ?? join(config.state.folder, 'vault');
}

/** Where what the bays saw before a fault is kept. */
export function flightFolderOf(config: Config): string {
  return join(config.state.folder, 'flights');
}
