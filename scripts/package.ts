import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { controlFiles, packageContents } from './package/contents.ts';
import { thisPlatform } from './package/platform.ts';

const usage = `Makes dist/docking-station_VERSION_ARCH.deb, for the architecture of this machine: all that a station needs.

  npm run package [-- --compression none]

The same commit gives the same bytes. SOURCE_DATE_EPOCH replaces the time of the commit. Needs dpkg-deb, git, and the
Debian packages libatomic1 and libusb-1.0-0, whose libraries are copied.
`;

const root = join(import.meta.dirname, '..');

function main(): void {
  const { values } = parseArgs({
    options: { compression: { type: 'string', default: 'xz' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return void process.stdout.write(usage);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const platform = thisPlatform();
  const builtAt = sourceDate();
  const about = { version, platform, builtAt, maintainer: ofLastCommit('%an <%ae>') };
  const tree = mkdtempSync(join(tmpdir(), 'docking-station-'));
  try {
    const sums: string[] = [];
    let installedBytes = 0;
    for (const { to, content, isExecutable = false } of packageContents(root, about)) {
      const at = join(tree, to);
      mkdirSync(dirname(at), { recursive: true });
      if (content.kind === 'file') copyFileSync(content.path, at);
      else writeFileSync(at, content.text);
      chmodSync(at, isExecutable ? 0o755 : 0o644);
      sums.push(`${createHash('md5').update(readFileSync(at)).digest('hex')}  ${to.slice(1)}`);
      installedBytes += statSync(at).size;
    }
    mkdirSync(join(tree, 'DEBIAN'));
    const controls = controlFiles(root, about, installedBytes);
    for (const { name, text, isExecutable } of controls) {
      writeFileSync(join(tree, 'DEBIAN', name), text);
      chmodSync(join(tree, 'DEBIAN', name), isExecutable ? 0o755 : 0o644);
    }
    writeFileSync(join(tree, 'DEBIAN/md5sums'), `${sums.join('\n')}\n`, { mode: 0o644 });
    settle(tree, builtAt);
    const file = join(root, 'dist', `docking-station_${version}_${platform.debian}.deb`);
    mkdirSync(dirname(file), { recursive: true });
    execFileSync('dpkg-deb', ['--root-owner-group', `-Z${values.compression}`, '--build', tree, file], {
      env: { ...process.env, SOURCE_DATE_EPOCH: String(builtAt.getTime() / 1000) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
    const sizes = `${mib(statSync(file).size)} MiB, ${mib(installedBytes)} MiB installed`;
    process.stdout.write(`${file}\n${sizes}, ${sums.length} files, of ${builtAt.toISOString()}\n`);
  } finally {
    rmSync(tree, { recursive: true });
  }
}

/** Everything of one time, whatever the umask and the order of work on this machine. */
function settle(folder: string, at: Date): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) settle(path, at);
    else lutimesSync(path, at, at);
  }
  chmodSync(folder, 0o755);
  lutimesSync(folder, at, at);
}

function sourceDate(): Date {
  return new Date(Number(process.env['SOURCE_DATE_EPOCH'] ?? ofLastCommit('%ct')) * 1000);
}

function ofLastCommit(format: string): string {
  return execFileSync('git', ['log', '-1', `--format=${format}`], { cwd: root, encoding: 'utf8' }).trim();
}

main();
