#!/usr/bin/env bash
# Boots a virtual machine with a real kernel USB stack and runs one command in it, as root, on this machine's own
# file system (read-only, with /tmp and /run in memory). Standard output comes through; the exit status is the command's.
#
#   scripts/usb-lab/boot.sh COMMAND [ARG ...]
#
# Needs Debian's packages below (installed when run as root) and about 400 MB in node_modules/.cache/usb-lab.
# Environment: USB_LAB_TIMEOUT seconds (900), USB_LAB_MEMORY MiB (2048).
set -euo pipefail
packages=(qemu-system-x86 kmod busybox-static cpio usbutils umtp-responder)
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache="$root/node_modules/.cache/usb-lab"

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "usb-lab: missing Debian packages; run: apt-get install ${missing[*]}" >&2
    exit 77
  fi
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >&2
fi

# The kernel is unpacked, not installed: this machine keeps its own.
mkdir -p "$cache"
image=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
if [ ! -e "$cache/$image/boot" ]; then
  (cd "$cache" && apt-get download -qq "$image" >&2 && dpkg -x "$image"_*.deb "$image" && rm "$image"_*.deb)
  version=$(ls "$cache/$image/lib/modules")
  depmod -b "$cache/$image" "$version"
fi
version=$(ls "$cache/$image/lib/modules")

# The first file system: busybox, the modules for the shared root, and init.
initrd="$cache/initrd-$version.cpio"
if [ ! -e "$initrd" ] || [ "$here/init.sh" -nt "$initrd" ]; then
  tree=$(mktemp -d)
  mkdir -p "$tree"/{bin,modules,proc,sys,dev,newroot}
  cp /bin/busybox "$tree/bin/busybox"
  cp "$here/init.sh" "$tree/init"
  chmod +x "$tree/init"
  for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p; do
    find "$cache/$image/lib/modules/$version" -name "$module.ko" -exec cp {} "$tree/modules/" \;
  done
  (cd "$tree" && find . | cpio -o -H newc 2>/dev/null) >"$initrd"
  rm -rf "$tree"
fi

exchange=$(mktemp -d)
trap 'rm -rf "$exchange"' EXIT
{
  printf 'export PATH=%q LAB_MODULES=%q LAB_KERNEL=%q LAB_EXCHANGE=/lab HOME=/tmp\n' \
    "$root/node_modules/.bin:/usr/sbin:/usr/bin:/sbin:/bin" "$cache/$image" "$version"
  printf 'cd %q\n' "$root"
  printf '%q ' "$@"
  echo
} >"$exchange/command"
cp "$here/guest.sh" "$exchange/guest.sh"

timeout "${USB_LAB_TIMEOUT:-900}" qemu-system-x86_64 \
  -accel tcg,thread=multi -cpu max -m "${USB_LAB_MEMORY:-2048}" -smp 2 -nographic -no-reboot -net none \
  -kernel "$cache/$image/boot/vmlinuz-$version" -initrd "$initrd" \
  -append 'console=ttyS0 quiet panic=-1' \
  -virtfs local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap \
  -virtfs "local,path=$exchange,mount_tag=exchange,security_model=none" </dev/null |
  sed -u 's/\r$//' | grep -v --line-buffered -e '^.\[[0-9;?]*[a-zA-Z]' -e SeaBIOS -e iPXE -e '^Booting from' -e '^$' || true
[ -e "$exchange/status" ] || { echo 'usb-lab: the virtual machine ended without a result' >&2; exit 1; }
exit "$(cat "$exchange/status")"
