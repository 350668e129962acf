import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { DockError } from '../../protocol/errors.ts';
import { ConfigError, parseConfig, parseToml } from './load.ts';
import type { Config } from './schema.ts';
import { lineOf } from './toml-lines.ts';

/** Which bay is which USB port, as learned from a person who plugged cameras in. */
export interface LearnedBay {
  readonly number: number;
  readonly usbPort: string;
}

const document = z.looseObject({
  bay: z.array(z.looseObject({ number: z.unknown(), usb_port: z.unknown().optional() })).optional(),
});
type Document = z.output<typeof document>;

/** The entries as they stand in a configuration file. */
export function bayFragment(bays: readonly LearnedBay[]): string {
  return bays
    .map(({ number, usbPort }) => `[[bay]]\nnumber = ${number}\nusb_port = "${usbPort}"\n`)
    .join('\n');
}

/**
 * The text of a configuration with the ports of these bays set: bays that are there keep everything but their port,
 * others are added at the end, comments and all else stay. What cannot be edited so is refused, never guessed. Errors:
 * `config.invalid` as a ConfigError when the text, or what comes out, is not a valid configuration.
 */
export function withLearnedBays(text: string, file: string, bays: readonly LearnedBay[]): string {
  const before = parseToml(document, text, file);
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const lines = text.split('\n');
  const added: LearnedBay[] = [];
  for (const bay of bays) {
    const index = (before.bay ?? []).findIndex(({ number }) => number === bay.number);
    if (index === -1) added.push(bay);
    else replacePort(lines, { text, file, index, bay });
  }
  let edited = lines.join('\n');
  if (added.length > 0) {
    const start = edited.trim() === '' ? '' : `${edited.endsWith('\n') ? '' : eol}${eol}`;
    edited += start + bayFragment(added).replaceAll('\n', eol);
  }
  parseConfig(edited, file);
  // Line positions come from looking at lines, which a text of several lines may deceive: what counts is what it means.
  if (!isDeepStrictEqual(parseToml(document, edited, file), expected(before, bays))) {
    throw refusal(file, 'bay', undefined, 'the bays cannot be edited as they are written; do it by hand');
  }
  return edited;
}

function replacePort(
  lines: string[],
  { text, file, index, bay }: { text: string; file: string; index: number; bay: LearnedBay },
): void {
  const key = `bay[${index}].usb_port`;
  const line = lineOf(text, ['bay', index, 'usb_port']);
  const parts = /^(\s*usb_port\s*=\s*)(?:"[^"]*"|'[^']*')([^]*)$/.exec(lines[(line ?? 0) - 1] ?? '');
  if (line === undefined || !parts) {
    const message = `bay ${bay.number} has no line usb_port = "…" to change; give it one in place of serial`;
    throw refusal(file, key, line, message);
  }
  lines[line - 1] = `${parts[1]}"${bay.usbPort}"${parts[2]}`;
}

function expected(before: Document, bays: readonly LearnedBay[]): Document {
  const entries = (before.bay ?? []).map((entry) => {
    const learned = bays.find(({ number }) => number === entry.number);
    return learned ? { ...entry, usb_port: learned.usbPort } : entry;
  });
  const added = bays
    .filter(({ number }) => !entries.some((entry) => entry.number === number))
    .map(({ number, usbPort }) => ({ number, usb_port: usbPort }));
  return { ...before, bay: [...entries, ...added] };
}

function refusal(file: string, key: string, line: number | undefined, message: string): ConfigError {
  return new ConfigError(file, [{ key, line, message }]);
}

/**
 * Sets the ports of these bays in a configuration file and returns the new configuration. The file before is kept as
 * FILE.bak; a power cut leaves the old file or the new one. A file that is not there is made. Errors: those of
 * `withLearnedBays`, `config.unreadable` when it cannot be read or written.
 */
export function writeLearnedBays(file: string, bays: readonly LearnedBay[]): Config {
  try {
    const before = readIfThere(file);
    const text = withLearnedBays(before?.text ?? '', file, bays);
    if (before) replaceFile(`${before.path}.bak`, before.text, before.path);
    replaceFile(before?.path ?? file, text);
    return parseConfig(text, file);
  } catch (cause) {
    if (cause instanceof DockError) throw cause;
    throw new DockError('config.unreadable', cause instanceof Error ? cause.message : file, { cause });
  }
}

/** A link is followed: the file it leads to is what is replaced. */
function readIfThere(file: string): { path: string; text: string } | undefined {
  try {
    const path = realpathSync(file);
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Write, fsync, rename, fsync the folder; owner and mode are those of `like`. Errors: those of node:fs. */
export function replaceFile(path: string, text: string, like = path): void {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.new-${process.pid}`);
  const old = statSync(like, { throwIfNoEntry: false });
  try {
    withOpen(temporary, 'wx', (handle) => {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at);
      if (old) {
        chmodSync(temporary, old.mode & 0o7777);
        if (old.uid !== process.getuid?.() || old.gid !== process.getgid?.()) {
          chownSync(temporary, old.uid, old.gid);
        }
      }
      fsyncSync(handle);
    });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  withOpen(folder, 'r', fsyncSync);
}

function withOpen(path: string, flags: string, use: (handle: number) => void): void {
  const handle = openSync(path, flags, 0o644);
  try {
    use(handle);
  } finally {
    closeSync(handle);
  }
}

/** What the privileged helper may touch, for `/etc/docking-station/bay-ports`: one port path a line. */
export function bayPorts({ bay }: Pick<Config, 'bay'>): string {
  const ports = bay
    .map(({ usb_port, serial }) => usb_port ?? serial?.usb_port?.replace(/:.*/, ''))
    .filter((port) => port !== undefined);
  return [...new Set(ports)].map((port) => `${port}\n`).join('');
}
