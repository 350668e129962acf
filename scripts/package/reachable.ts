import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { builtinModules } from 'node:module';

/** What a program needs: its own files, and the packages that they and their packages depend on. */
export interface Reachable {
  /** Relative to the root, sorted. */
  readonly files: readonly string[];
  /** Folders under node_modules, such as `node_modules/usb`, sorted. */
  readonly packages: readonly string[];
}

/** Follows imports from the entries on: the station gets what its programs load, and nothing of tests and simulators. */
export function reachable(root: string, entries: readonly string[]): Reachable {
  const files = new Set<string>();
  const named = new Set<string>();
  const visit = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const specifier of importsOf(readFileSync(join(root, file), 'utf8'))) {
      if (specifier.endsWith('.ts')) visit(relative(root, join(root, dirname(file), specifier)));
      else if (!specifier.startsWith('node:') && !builtinModules.includes(specifier))
        named.add(packageName(specifier));
    }
  };
  entries.forEach(visit);
  return { files: [...files].toSorted(), packages: packagesOf(root, named) };
}

/**
 * Static, dynamic and for side effects, and programs of threads that are named by their place; types too, which are
 * files that are read by people.
 */
function importsOf(source: string): string[] {
  const named = /\b(?:from|import)\s*\(?\s*'([^']+)'|\bnew URL\('([^']+\.ts)', import\.meta\.url\)/g;
  return [...source.matchAll(named)].map(([, imported, placed]) => imported ?? placed ?? '');
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

interface Locked {
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

/** The lock file's closure of these packages; optional ones as far as they are installed, which is this platform's. */
function packagesOf(root: string, named: Iterable<string>): string[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>;
  };
  const found = new Set<string>();
  const visit = (name: string, from: string): void => {
    const folder = resolvePackage(lock.packages, name, from);
    if (folder === undefined || found.has(folder) || !existsSync(join(root, folder))) return;
    found.add(folder);
    const { dependencies, optionalDependencies } = lock.packages[folder] ?? {};
    for (const next of Object.keys({ ...dependencies, ...optionalDependencies })) visit(next, folder);
  };
  for (const name of named) visit(name, '');
  return [...found].toSorted();
}

/** As Node looks a package up: in the node_modules of each folder upwards. */
function resolvePackage(packages: Record<string, unknown>, name: string, from: string): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    const folder = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    if (folder in packages) return folder;
    if (at === '') return undefined;
  }
}
