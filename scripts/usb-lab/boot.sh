#!/usr/bin/env bash
# Boots a virtual machine with a real kernel USB stack and runs one command in it, as root, on this machine's own
# file system (read-only, with /tmp, /run and /mnt in memory). Standard output comes through; the exit status is the
# command's, 77 when Debian packages are missing and may not be installed, 1 when the machine ended without a result.
#
#   scripts/usb-lab/boot.sh COMMAND [ARG ...]
#   scripts/usb-lab/boot.sh --prepare              only sees to packages and kernel, for other labs
#
# The command finds: 12 dummy UDCs (usb-lab.md), ext4 on a real disk at /mnt/disk (fsync reaches the host's file),
# the folder $LAB_EXCHANGE shared with the host, udevd, and DOCK_* variables of the caller.
# Measured on two cores under emulation: 15 s to the command, 3 s to power off, 330 MiB used by a vitest run with cameras,
# 87 MB/s to the scratch disk with fsync. Large recordings belong on /mnt/disk; /tmp has half of the memory.
# Needs Debian's packages below (installed when run as root) and about 400 MB in node_modules/.cache/usb-lab.
# Environment:
#   USB_LAB_TIMEOUT   seconds for the whole run (900)
#   USB_LAB_MEMORY    MiB (1536); the guest's tmpfs folders take from it
#   USB_LAB_DISK      GiB of the scratch disk (12), a sparse file in $TMPDIR
#   USB_LAB_HUBS=1    adds an xHCI with a hub in a hub, behind it QEMU's own MTP camera and a disk (test/usb/lab.ts), and
#                     on a port of its own, at high speed, a second such camera showing $LAB_EXCHANGE/qemu-bench
#   USB_LAB_EXCHANGE  an existing folder to share instead of a temporary one; kept afterwards
#   USB_LAB_ACCEL     tcg (the default) or kvm; not guessed, since a /dev/kvm in a container may open and yet never run
set -euo pipefail

packages=(qemu-system-x86 kmod busybox-static cpio udev usbutils umtp-responder dosfstools exfatprogs e2fsprogs
  util-linux mount mtp-tools gphoto2 systemd dmsetup xfsprogs)
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache="$root/node_modules/.cache/usb-lab"

require_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    echo "usb-lab: missing Debian packages; run: apt-get install ${missing[*]}" >&2
    exit 77
  fi
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}"; } >&2; then
    echo "usb-lab: could not install: ${missing[*]}" >&2
    exit 77
  fi
}

# The kernel is unpacked, not installed: this machine keeps its own. Built aside and moved, as several labs may start at once.
require_kernel() {
  image=$(ls "$cache" 2>/dev/null | grep -x 'linux-image-[0-9a-z.-]*' | sort -V | tail -n 1 || true)
  if [ -z "$image" ]; then
    local aside
    mkdir -p "$cache"
    aside=$(mktemp -d "$cache/unpack.XXXXXX")
    image=$(kernel_package)
    [ -n "$image" ] || { apt-get update -qq >&2 || true; image=$(kernel_package); }
    if ! (cd "$aside" && apt-get download -qq "$image" >&2 && dpkg -x "$image"_*.deb tree); then
      rm -rf "$aside"
      echo 'usb-lab: could not download the Debian package linux-image-amd64 depends on' >&2
      exit 77
    fi
    depmod -b "$aside/tree" "$(ls "$aside/tree/lib/modules")"
    mv -T "$aside/tree" "$cache/$image" 2>/dev/null || true
    rm -rf "$aside"
  fi
  version=$(ls "$cache/$image/lib/modules")
}

kernel_package() {
  apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# The first file system: busybox, the modules for the shared root, and init.
require_initrd() {
  initrd="$cache/initrd-$version.cpio"
  [ ! -e "$initrd" ] || [ "$here/init.sh" -nt "$initrd" ] || return 0
  local tree module
  tree=$(mktemp -d)
  mkdir -p "$tree"/{bin,modules,proc,sys,dev,newroot}
  cp /bin/busybox "$tree/bin/busybox"
  cp "$here/init.sh" "$tree/init"
  chmod +x "$tree/init"
  for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p; do
    find "$cache/$image/lib/modules/$version" -name "$module.ko" -exec cp {} "$tree/modules/" \;
  done
  (cd "$tree" && find . | cpio -o -H newc 2>/dev/null) >"$initrd.$$"
  mv "$initrd.$$" "$initrd"
  rm -rf "$tree"
}

write_command() {
  {
    printf 'export PATH=%q LAB_MODULES=%q LAB_KERNEL=%q LAB_EXCHANGE=/mnt/lab LAB_DISK=/mnt/disk HOME=/tmp\n' \
      "$root/node_modules/.bin:/usr/sbin:/usr/bin:/sbin:/bin" "$cache/$image" "$version"
    export -p | grep -E '^declare -x DOCK_[A-Z0-9_]+=' || true
    # Compiled code is kept in memory: node_modules cannot be written to, and 9p is slow.
    printf 'export USB_LAB=1 USB_LAB_HUBS=%q NODE_COMPILE_CACHE=/tmp/node-cache NO_COLOR=1 CI=1 TERM=dumb\n' \
      "${USB_LAB_HUBS:-}"
    printf 'cd %q\n' "$root"
    printf '%q ' "$@"
    echo
  } >"$exchange/command"
  cp "$here/guest.sh" "$exchange/guest.sh"
}

# A hub on a hub on the xHCI's first port: QEMU's MTP camera on port 1.2.1, a disk on 1.2.2. On the second port, as hubs
# make it full speed, one more camera for what is timed. QEMU reads a camera's folder anew in each session. QEMU's monitor
# reads what the guest appends to $LAB_EXCHANGE/monitor, so that it can pull these too.
hub_options() {
  mkdir -p "$exchange/qemu-camera/DCIM" "$exchange/qemu-bench/DCIM"
  printf 'made by QEMU, not by umtprd' >"$exchange/qemu-camera/DCIM/VIDEO001.MP4"
  truncate -s 64M "$work/card.img"
  mkfs.vfat -F 32 "$work/card.img" >/dev/null
  mkfifo "$work/monitor.in" "$work/monitor.out"
  : >"$exchange/monitor"
  tail -q -n +1 -F "$exchange/monitor" >"$work/monitor.in" 2>/dev/null &
  helpers+=($!)
  cat "$work/monitor.out" >/dev/null &
  helpers+=($!)
  options+=(
    -device qemu-xhci,id=xhci
    -device usb-hub,bus=xhci.0,port=1
    -device usb-hub,bus=xhci.0,port=1.2
    -device "usb-mtp,id=camera,bus=xhci.0,port=1.2.1,rootdir=$exchange/qemu-camera,desc=QEMU camera"
    -device "usb-mtp,id=bench,bus=xhci.0,port=2,rootdir=$exchange/qemu-bench,desc=QEMU bench"
    -drive "if=none,id=card,file=$work/card.img,format=raw"
    -device usb-storage,id=card,bus=xhci.0,port=1.2.2,drive=card,removable=on,serial=QEMU-CARD-1
    -chardev "pipe,id=monitor,path=$work/monitor"
    -mon chardev=monitor,mode=readline
  )
}

main() {
  require_packages
  require_kernel
  [ "$*" != --prepare ] || return 0
  require_initrd
  work=$(mktemp -d)
  exchange=${USB_LAB_EXCHANGE:-$work/exchange}
  mkdir -p "$exchange"
  rm -f "$exchange/status"
  helpers=() options=()
  trap 'kill "${helpers[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM HUP
  write_command "$@"

  [ -z "${USB_LAB_HUBS:-}" ] || hub_options
  truncate -s "${USB_LAB_DISK:-12}G" "$work/disk.img"
  mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 "$work/disk.img"

  # Firmware and early kernel write to the same line: what they say goes to the log only.
  exec 3> >(tee "$exchange/console.log" | sed -u -e 's/\r$//' -e '1,/^usb-lab: ready/d' -e '/reboot: Power down/d')
  helpers+=($!)
  # Node ends seldom with SIGSEGV at its start in the emulator, why is not known: 1 of 55 starts of the agent with AVX,
  # whose emulation is new in QEMU 7.2, none of 70 without, but one there as well since.
  timeout --foreground "${USB_LAB_TIMEOUT:-900}" qemu-system-x86_64 \
    -accel "${USB_LAB_ACCEL:-tcg,thread=multi}" -cpu "${USB_LAB_CPU:-Nehalem}" -m "${USB_LAB_MEMORY:-1536}" -smp 2 -display none -vga none -serial stdio -monitor none \
    -no-reboot -net none "${options[@]}" \
    -kernel "$cache/$image/boot/vmlinuz-$version" -initrd "$initrd" -append "console=ttyS0 quiet panic=-1 lab_root=$root" \
    -drive "file=$work/disk.img,if=virtio,format=raw,discard=unmap" \
    -virtfs local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap \
    -virtfs "local,path=$exchange,mount_tag=exchange,security_model=none" </dev/null >&3 &
  local qemu=$! console=${helpers[-1]}
  helpers+=("$qemu")
  exec 3>&-
  wait "$qemu" || true
  wait "$console" || true
  if [ ! -e "$exchange/status" ]; then
    tail -n 20 "$exchange/console.log" >&2
    echo 'usb-lab: the virtual machine ended without a result' >&2
    exit 1
  fi
  exit "$(cat "$exchange/status")"
}

# In a function, so that an edit of this file does not reach a running lab.
main "$@"
