import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtInProfiles } from '../../dock/camera/built-in-profiles.ts';
import { cameraProfileSchema, type CameraProfile } from '../../dock/camera/profile.ts';
import { DockError } from '../../protocol/errors.ts';
import { ConfigError, parseToml } from './load.ts';
import type { Config } from './schema.ts';

/** More files than this are a wrong folder. */
const mostProfiles = 500;

/**
 * The camera profiles of the station: the files of the configured folder by name, then those that are built in. The
 * first that matches a device decides. Errors: `config.unreadable`, `config.invalid` as a ConfigError.
 */
export function loadProfiles({ cameras }: Pick<Config, 'cameras'>): CameraProfile[] {
  const profiles = cameras.profiles === undefined ? [] : readProfiles(cameras.profiles);
  return [...profiles, ...builtInProfiles(cameras)];
}

function readProfiles(folder: string): CameraProfile[] {
  const files = readable(() => readdirSync(folder))
    .filter((name) => name.endsWith('.toml'))
    .toSorted();
  if (files.length > mostProfiles) {
    throw new DockError('config.unreadable', `${folder}: ${files.length} profiles, at most ${mostProfiles}`);
  }
  const fileOf = new Map<string, string>();
  return files.map((name) => {
    const file = join(folder, name);
    const profile = parseToml(
      cameraProfileSchema,
      readable(() => readFileSync(file, 'utf8')),
      file,
    );
    const first = fileOf.get(profile.name);
    if (first !== undefined) {
      const message = `the name ${profile.name} is already used in ${first}`;
      throw new ConfigError(file, [{ key: 'name', line: undefined, message }]);
    }
    fileOf.set(profile.name, file);
    return profile;
  });
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new DockError('config.unreadable', cause instanceof Error ? cause.message : '', { cause });
  }
}
