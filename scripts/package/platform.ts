/** What differs between the machines that a package can be made on, and for. */
export interface Platform {
  readonly npm: string;
  readonly debian: string;
  readonly triplet: string;
  /** What the folders of prebuilt addons have in their names. */
  readonly prebuilds: string;
  /** Libraries that the runtime and the addons need and a bare Debian lacks. */
  readonly libraries: readonly string[];
}

const libraries = ['libatomic.so.1', 'libusb-1.0.so.0'];
const platforms: Readonly<Record<string, Platform>> = {
  x64: { npm: 'x64', debian: 'amd64', triplet: 'x86_64-linux-gnu', prebuilds: 'linux-x64', libraries },
  arm64: { npm: 'arm64', debian: 'arm64', triplet: 'aarch64-linux-gnu', prebuilds: 'linux-arm64', libraries },
};

/** This machine's: the runtime and the addons are those that npm installed here. */
export function thisPlatform(): Platform {
  const platform = platforms[process.arch];
  if (process.platform !== 'linux' || !platform) {
    throw new Error(`no package for ${process.platform} on ${process.arch}`);
  }
  return platform;
}
