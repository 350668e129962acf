import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Platform } from './platform.ts';

/** Packages of the libraries that are copied from the machine that builds. */
const libraryPackages: Readonly<Record<string, string>> = {
  'libatomic.so.1': 'libatomic1',
  'libusb-1.0.so.0': 'libusb-1.0-0',
};

/** The licence of everything that is in the package, in full, as each came. */
export function copyright(root: string, packages: readonly string[], { libraries }: Platform): string {
  const parts = packages.map((folder) => {
    const {
      name,
      version,
      license = 'see below',
    } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as {
      name: string;
      version: string;
      license?: string;
    };
    const texts = readdirSync(join(root, folder))
      .filter((file) => /^(licen[sc]e|copying|notice)/i.test(file))
      .toSorted()
      .map((file) => readFileSync(join(root, folder, file), 'utf8').trim());
    return section(`${name} ${version}`, license, texts);
  });
  const copied = libraries.map((library) => {
    const debian = libraryPackages[library] ?? library;
    return section(`${library} (Debian package ${debian})`, 'see below', [
      readFileSync(join('/usr/share/doc', debian, 'copyright'), 'utf8').trim(),
    ]);
  });
  const own = 'The docking station agent is not licensed to others. It contains what is listed below.\n';
  return [own, ...parts, ...copied].join('\n');
}

function section(what: string, license: string, texts: readonly string[]): string {
  return `${'-'.repeat(78)}\n${what}\nLicense: ${license}\n\n${texts.map((text) => `${text}\n`).join('\n')}`;
}
