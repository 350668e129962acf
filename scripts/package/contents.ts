import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { completionScript } from '../../agent/cli/completion.ts';
import { dockctlProgram } from '../../agent/cli/program.ts';
import { migrations } from '../../agent/state/migrations.ts';
import { copyright } from './copyright.ts';
import { agentManPage, dockctlManPage } from './man-pages.ts';
import type { Platform } from './platform.ts';
import { reachable } from './reachable.ts';

/** One file of the package. */
export interface Entry {
  /** Absolute on the station. */
  readonly to: string;
  readonly content:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'text'; readonly text: string | Uint8Array };
  readonly isExecutable?: boolean;
}

const home = '/usr/lib/docking-station';
const programs = ['agent/main.ts', 'agent/cli/dockctl.ts'];
/** What runs as root, called by udev and by the service manager. */
const rootScripts = ['dock/host/dock-helper.sh', 'dock/host/dock-usb-policy.sh'];

export interface PackageFacts {
  readonly version: string;
  readonly maintainer: string;
  readonly platform: Platform;
  /** The time that everything in the package has. */
  readonly builtAt: Date;
}

/** Read by `dockctl register prepare`. */
function registerSchema(root: string): string[] {
  const folder = 'agent/enrolment/register-schema';
  return readdirSync(join(root, folder)).map((name) => `${folder}/${name}`);
}

/** Everything a station gets, and where. */
export function packageContents(root: string, about: PackageFacts): Entry[] {
  const { version, platform, builtAt } = about;
  const { files, packages } = reachable(root, programs);
  const runtime = `node_modules/node-linux-${platform.npm}`;
  const installation = (name: string): string => join(root, 'scripts/installation', name);
  const { program } = dockctlProgram();
  const facts = { version, date: builtAt.toISOString().slice(0, 10) };
  const entries: Entry[] = [
    ...[...files, 'package.json'].map((path) => file(`${home}/${path}`, join(root, path))),
    ...registerSchema(root).map((path) => file(`${home}/${path}`, join(root, path))),
    ...rootScripts.map((path) => executable(`${home}/${path}`, join(root, path))),
    ...packages.flatMap((folder) =>
      filesOfPackage(join(root, folder), platform).map((path) =>
        file(`${home}/${folder}/${path}`, join(root, folder, path)),
      ),
    ),
    executable(`${home}/bin/node`, join(root, runtime, 'bin/node')),
    ...platform.libraries.map((name) =>
      file(`${home}/lib/${name}`, realpathSync(join('/usr/lib', platform.triplet, name))),
    ),
    executable('/usr/bin/dockctl', installation('dockctl.sh')),
    file('/etc/docking-station/config.toml', installation('config.toml')),
    text(
      '/etc/docking-station/profiles/README',
      'Camera profiles, NAME.toml each: dockctl probe --draft PORT --output FILE\n',
    ),
    ...['dock-agent.service', 'dock-helper.socket', 'dock-helper@.service'].map((unit) =>
      file(`/lib/systemd/system/${unit}`, installation(unit)),
    ),
    file('/lib/udev/rules.d/70-docking-station.rules', installation('70-docking-station.rules')),
    file('/usr/lib/modules-load.d/docking-station.conf', installation('modules-load.conf')),
    file('/usr/lib/sysusers.d/docking-station.conf', installation('sysusers.conf')),
    file('/usr/share/lintian/overrides/docking-station', installation('debian/lintian-overrides')),
    text('/usr/share/bash-completion/completions/dockctl', completionScript(program, 'bash')),
    text('/usr/share/zsh/vendor-completions/_dockctl', completionScript(program, 'zsh')),
    text('/usr/share/fish/vendor_completions.d/dockctl.fish', completionScript(program, 'fish')),
    zipped('/usr/share/man/man1/dockctl.1.gz', dockctlManPage(program, facts)),
    zipped('/usr/share/man/man8/dock-agent.8.gz', agentManPage(facts)),
    ...documents(root),
    text('/usr/share/doc/docking-station/copyright', copyright(root, [...packages, runtime], platform)),
    zipped('/usr/share/doc/docking-station/changelog.gz', changelog(about)),
  ];
  return entries.toSorted((a, b) => (a.to < b.to ? -1 : 1));
}

/** The control files of the package. */
export function controlFiles(
  root: string,
  { version, maintainer, platform }: PackageFacts,
  installedBytes: number,
): { name: string; text: string; isExecutable: boolean }[] {
  const script = (name: string): { name: string; text: string; isExecutable: boolean } => ({
    name,
    text: readFileSync(join(root, 'scripts/installation/debian', name), 'utf8').replaceAll(
      '@SCHEMA_VERSION@',
      String(migrations.length),
    ),
    isExecutable: true,
  });
  const { description } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    description: string;
  };
  const control = `Package: docking-station
Version: ${version}
Architecture: ${platform.debian}
Maintainer: ${maintainer}
Installed-Size: ${Math.ceil(installedBytes / 1024)}
Pre-Depends: init-system-helpers (>= 1.54~)
Depends: libc6 (>= 2.28), libgcc-s1, libstdc++6, libsystemd0, libudev1, mount, systemd (>= 252), udev
Recommends: chrony | systemd-timesyncd, dosfstools, exfatprogs
Section: admin
Priority: optional
Description: ${description.split(':')[0]}
 Pulls the recordings of body cameras, proves that the copies are whole, sets the
 clocks of the cameras, keeps the norm of the post and reports over MQTT. Brings
 its own runtime; needs no network and no compiler.
`;
  return [
    { name: 'control', text: control, isExecutable: false },
    {
      name: 'conffiles',
      text: '/etc/docking-station/config.toml\n/etc/docking-station/profiles/README\n',
      isExecutable: false,
    },
    ...['preinst', 'postinst', 'prerm', 'postrm'].map(script),
  ];
}

/**
 * Types, maps, sources of addons, papers and other platforms' addons are no use on a station. Nothing is left out by the
 * name of its folder: what one package calls src or bin and never runs, another loads.
 */
function filesOfPackage(folder: string, { prebuilds }: Platform): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((path) => !path.startsWith('node_modules/'))
    .filter((path) => /\.([cm]?js|json|node)$/.test(path))
    .filter((path) => !path.endsWith('.node') || !/(^|\/)prebuilds\//.test(path) || isFor(prebuilds, path));
}

/** Debian is glibc. */
function isFor(prebuilds: string, path: string): boolean {
  return dirname(path).endsWith(prebuilds) && !path.includes('musl');
}

function documents(root: string): Entry[] {
  return ['README.md', 'protocol/smp/camera-group.md', 'protocol/hid/smp-over-hid.md'].map((path) =>
    zipped(`/usr/share/doc/docking-station/${path}.gz`, readFileSync(join(root, path), 'utf8')),
  );
}

function changelog({ version, maintainer, builtAt }: PackageFacts): string {
  const date = builtAt.toUTCString().replace('GMT', '+0000');
  return `docking-station (${version}) unstable; urgency=medium\n\n  * See the history of the project.\n\n -- ${maintainer}  ${date}\n`;
}

function file(to: string, path: string): Entry {
  if (!existsSync(path) || !statSync(path).isFile()) throw new Error(`${path} is missing`);
  return { to, content: { kind: 'file', path } };
}

function executable(to: string, path: string): Entry {
  return { ...file(to, path), isExecutable: true };
}

function text(to: string, content: string): Entry {
  return { to, content: { kind: 'text', text: content } };
}

function zipped(to: string, content: string): Entry {
  return { to, content: { kind: 'text', text: gzipSync(content, { level: 9 }) } };
}
