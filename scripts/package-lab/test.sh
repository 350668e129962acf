#!/usr/bin/env bash
# Installs the package into a fresh Debian 12 and boots that in a virtual machine (test/package/*.vm.test.ts).
#
#   npm run test:package [-- VITEST_OPTION ...]
#
# Needs root, for debootstrap, and Debian's packages below, which it installs. The bare system is kept in
# node_modules/.cache/package-lab, about 90 MB, and made anew when it is a month old. Exits with 77 and the reason when
# it cannot run here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache="$root/node_modules/.cache/package-lab"
packages=(debootstrap qemu-system-x86 kmod busybox-static cpio e2fsprogs util-linux systemd dpkg libatomic1 libusb-1.0-0)

unable() {
  echo "test:package: $*" >&2
  exit 77
}

require_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}"; } >&2 || unable "could not install: ${missing[*]}"
}

# What every Debian 12 has, and an init: no libraries that only our runtime wants, no compiler, no network tools.
require_bare_system() {
  base="$cache/bookworm.tar.gz"
  [ -z "$(find "$base" -mtime -30 2>/dev/null)" ] || return 0
  local aside
  aside=$(mktemp -d)
  debootstrap --variant=minbase --include=systemd-sysv,udev,kmod bookworm "$aside/root" >"$aside/log" 2>&1 ||
    { tail -n 5 "$aside/log" >&2; unable 'could not make a bare Debian 12'; }
  rm -rf "$aside/root"/var/cache/apt/archives/*.deb "$aside/root"/var/lib/apt/lists/*
  mkdir -p "$cache"
  tar -C "$aside/root" -cf - . | gzip -1 >"$base.$$"
  mv "$base.$$" "$base"
  rm -rf "$aside"
}

[ "$(id -u)" = 0 ] || unable 'needs root: it makes a Debian system of its own (debootstrap)'
[ "$(uname -m)" = x86_64 ] || unable 'knows the virtual machine of x86_64 only'
require_packages
require_bare_system
# The kernel is the one of the USB lab, made there.
"$root/scripts/usb-lab/boot.sh" --prepare || exit $?
export DOCK_PACKAGE_LAB="$cache" DOCK_LAB_KERNELS="$root/node_modules/.cache/usb-lab"
cd "$root"
exec node_modules/.bin/node node_modules/vitest/vitest.mjs run --config test/package/vitest.config.ts "$@"
