import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** Makes the package as people do; where it is. */
export function makePackage(checkout = root, compression = 'none'): string {
  const git = {
    GIT_DIR: execFileSync('git', ['rev-parse', '--absolute-git-dir'], { cwd: root, encoding: 'utf8' }).trim(),
  };
  const printed = execFileSync(
    process.execPath,
    [join(checkout, 'scripts/package.ts'), '--compression', compression],
    {
      cwd: checkout,
      encoding: 'utf8',
      env: { ...process.env, ...git },
    },
  );
  return printed.split('\n')[0] ?? '';
}

/** A copy of this checkout as a later release: another version number, and one more migration. */
export function laterRelease(folder: string, version: string): string {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const path of listed.split('\0')) {
    if (/^(agent|dock|protocol|scripts)\/|^(package|README)/.test(path)) {
      mkdirSync(resolve(folder, path, '..'), { recursive: true });
      cpSync(join(root, path), join(folder, path));
    }
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  edit(join(folder, 'package.json'), /"version": "[^"]+"/, `"version": "${version}"`);
  const more = '  `CREATE TABLE later (word TEXT NOT NULL) STRICT`,\n];\n';
  edit(join(folder, 'agent/state/migrations.ts'), /\];\n$/, more);
  return folder;
}

function edit(path: string, from: RegExp, to: string): void {
  const before = readFileSync(path, 'utf8');
  const after = before.replace(from, () => to);
  if (after === before) throw new Error(`${path}: nothing to replace`);
  writeFileSync(path, after);
}
