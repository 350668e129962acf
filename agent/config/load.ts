import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { DockError } from '../../protocol/errors.ts';
import { configSchema, type Config } from './schema.ts';
import { lineOf } from './toml-lines.ts';

export const systemConfigPath = '/etc/docking-station/config.toml';

export interface LoadedConfig {
  readonly config: Config;
  /** Undefined when no file was found and the embedded defaults apply. */
  readonly file: string | undefined;
}

/** One problem of a configuration, with its place. */
export interface ConfigProblem {
  /** Such as `bay[2].serial.baud_rate`; empty for the file as a whole. */
  readonly key: string;
  readonly line: number | undefined;
  readonly message: string;
}

/** All problems of a file at once. */
export class ConfigError extends DockError {
  readonly file: string;
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    const list = problems.map(
      ({ key, line, message }) => `${file}:${line ?? '-'}: ${key || '(file)'}: ${message}`,
    );
    super('config.invalid', `\n  ${list.join('\n  ')}`);
    this.file = file;
    this.problems = problems;
  }
}

/**
 * Reads the configuration: the file given, else the environment's DOCK_CONFIG, else the system's file, else the
 * embedded defaults. Relative paths count from the folder of the file, or from the working folder without one.
 * Errors: `config.unreadable`, `config.invalid` as a ConfigError.
 */
export function loadConfig(
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): LoadedConfig {
  const file = given ?? env['DOCK_CONFIG'] ?? (existsSync(systemConfigPath) ? systemConfigPath : undefined);
  if (file === undefined) return { config: withPaths(configSchema.parse({}), '.'), file };
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new DockError('config.unreadable', cause instanceof Error ? cause.message : file, { cause });
  }
  return { config: withPaths(parseConfig(text, file), dirname(file)), file: resolve(file) };
}

/** Errors: `config.invalid` as a ConfigError with every problem. */
export function parseConfig(text: string, file: string): Config {
  return parseToml(configSchema, text, file);
}

/** A TOML file of any of our schemas. Errors: `config.invalid` as a ConfigError with every problem. */
export function parseToml<Schema extends z.ZodType>(
  schema: Schema,
  text: string,
  file: string,
): z.output<Schema> {
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const message = error.message.split('\n')[0] ?? 'not TOML';
    throw new ConfigError(file, [{ key: '', line: error.line, message }]);
  }
  const parsed = schema.safeParse(document);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap((issue): ConfigProblem[] => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => problem(text, [...issue.path, key], 'there is no such key'));
    }
    return [problem(text, issue.path, issue.message)];
  });
  throw new ConfigError(
    file,
    problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0)),
  );
}

function problem(text: string, path: readonly PropertyKey[], message: string): ConfigProblem {
  const key = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return { key: key.replace(/^\./, ''), line: lineOf(text, path), message };
}

function withPaths(config: Config, base: string): Config {
  const at = (path: string): string => resolve(base, path);
  const stateFolder = at(config.state.folder);
  const vaultFolder =
    config.vault.folder === undefined ? join(stateFolder, 'vault') : at(config.vault.folder);
  return {
    ...config,
    state: { folder: stateFolder },
    vault: { ...config.vault, folder: vaultFolder },
    broker: withFiles(config.broker, at),
    register: withFiles(config.register, at),
    cameras: {
      ...config.cameras,
      ...(config.cameras.profiles !== undefined && { profiles: at(config.cameras.profiles) }),
    },
    usb: { helper_socket: at(config.usb.helper_socket) },
    bay: config.bay.map(({ serial, ...bay }) => ({
      ...bay,
      ...(serial && { serial: serial.path === undefined ? serial : { ...serial, path: at(serial.path) } }),
    })),
  };
}

interface CredentialFiles {
  readonly password_file?: string | undefined;
  readonly ca_file?: string | undefined;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
}

function withFiles<T extends CredentialFiles>(section: T, at: (path: string) => string): T {
  const files = (['password_file', 'ca_file', 'cert_file', 'key_file'] as const).flatMap((key) => {
    const file = section[key];
    return file === undefined ? [] : [[key, at(file)] as const];
  });
  return { ...section, ...Object.fromEntries(files) };
}
