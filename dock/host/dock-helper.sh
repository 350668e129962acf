#!/bin/bash
# The privileged helper of a docking station: everything that needs root, and nothing else.
#
# Serves one request: systemd hands it a connection as standard input and output (scripts/installation). Request and
# answer are one line each:
#
#   mount PORT DISKSEQ [LUN]   mounts a disk of a bay read-only    ok folder= type= dirty= device= lun=
#   writable PORT DISKSEQ      the same, writable, until the client sends a line, hangs up, or 60 s have passed;
#                              then read-only again, with a second answer like that of mount
#   readonly PORT DISKSEQ      back to read-only, after a window that broke; answers like mount
#   unmount PORT [LUN]         also when the device is gone        ok
#   power-cycle PORT           off, 2 s, on                        ok
#   usbfs-memory MIB           raises the limit, never lowers it   ok mib=
#
# Other answers: `refused CODE TEXT` when nothing was done, `failed CODE TEXT` when a step broke; the device is then
# read-only or unmounted. CODE: malformed, not-a-bay, no-device, stale, no-medium, unsupported, dirty, not-mounted,
# no-switch, busy, gone, broken.
#
# PORT is checked against a list that only root writes. The environment comes from the unit, never from a request.
set -euo pipefail
umask 022
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
ports=${DOCK_BAY_PORTS:-/etc/docking-station/bay-ports}
user=${DOCK_USER:-dock}
mounts=${DOCK_MOUNTS:-/run/dock-mounts}
sys=${DOCK_SYS:-/sys}
dev=${DOCK_DEV:-/dev}
window_seconds=60
port_pattern='^[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,5}$'

answer() { printf '%s\n' "$*"; }
refuse() { answer refused "$@"; exit 0; }
fail() { answer failed "$@"; exit 1; }

# The first line of a sysfs attribute; empty when there is none.
attribute() {
  local value=
  { IFS= read -r value <"$1"; } 2>/dev/null || :
  printf '%s' "$value"
}

is_bay() { [ -r "$ports" ] && grep -Fxq -e "$1" -- "$ports"; }

# From here on requests for one port follow each other: a mount never meets the window of another connection.
claim_port() {
  [[ $1 =~ $port_pattern ]] || refuse malformed 'not a port path'
  is_bay "$1" || refuse not-a-bay "$1 is not listed in $ports"
  port=$1
  mkdir -p "$mounts"
  { [ -d "$mounts" ] && [ ! -L "$mounts" ] && [ -O "$mounts" ]; } || fail broken "$mounts is not a folder of root"
  exec 9>"$mounts/$port.lock"
  flock -w 30 9 || refuse busy "another request for $port is running"
}

# Sets disk and lun of the attach that DISKSEQ names: names like sda are reused, sequence numbers are not.
find_disk() {
  local interface block unit
  [ -d "$sys/bus/usb/devices/$port" ] || refuse no-device "no device on $port"
  for interface in "$sys/bus/usb/devices/$port/$port:"*; do
    [ "$(attribute "$interface/bInterfaceClass")" = 08 ] || continue
    for block in "$interface"/host*/target*/*:*:*:*/block/sd*; do
      [ "$(attribute "$block/diskseq")" = "$1" ] || continue
      disk=${block##*/}
      unit=${block%/block/*}
      lun=${unit##*:}
      [[ $disk =~ ^sd[a-z]{1,3}$ && $lun =~ ^[0-9]{1,3}$ ]] || refuse unsupported 'not a disk'
      sequence=$1
      folder=$mounts/$port.$lun
      return 0
    done
  done
  refuse stale "no disk with sequence number $1 on $port"
}

# Sets volume and type: the only FAT or exFAT partition, or the bare disk, as cameras often format it. With two of
# them one would stay unseen, and the camera look emptied. Nothing else is ever tried: the disk is untrusted.
find_volume() {
  local candidate facts found=
  for candidate in "$sys/class/block/$disk/$disk"[0-9]* "$disk"; do
    candidate=${candidate##*/}
    # A partition from sector 0 on is the bare disk once more: some tools format it so.
    [ "$(attribute "$sys/class/block/$disk/$candidate/start")" != 0 ] || continue
    [[ $candidate =~ ^sd[a-z]{1,3}[0-9]{0,3}$ && -b $dev/$candidate ]] || continue
    facts=$(timeout -k 5 20 blkid -p -n vfat,exfat -s TYPE -s VERSION -o export "$dev/$candidate" 2>/dev/null) || continue
    case $facts in
      *TYPE=exfat* | *TYPE=vfat*) ;;
      *) continue ;;
    esac
    [ -z "$found" ] || refuse unsupported "$found and $candidate of $disk are both FAT or exFAT"
    found=$candidate
    case $facts in
      *TYPE=exfat*) type=exfat dirty_offset=106 dirty_bit=2 ;;
      *VERSION=FAT32*TYPE=vfat* | *TYPE=vfat*VERSION=FAT32*) type=vfat dirty_offset=65 dirty_bit=1 ;;
      *) type=vfat dirty_offset=37 dirty_bit=1 ;;
    esac
  done
  volume=$found
  [ -n "$found" ]
}

# Whether the volume says that it was not unmounted in order. FAT: state byte of the boot sector; exFAT: VolumeFlags.
read_dirty() {
  local flags
  flags=$(timeout -k 5 20 od -An -v -tu1 -j "$dirty_offset" -N 1 "$dev/$volume" 2>/dev/null | tr -d ' ') || flags=
  case $flags in '' | *[!0-9]*) return 1 ;; esac
  dirty=$(((flags & dirty_bit) != 0))
}

# Of disk and volume: a file system that was told to be writable is still refused by the device.
set_access() { timeout -k 5 20 blockdev "--set$1" "$dev/$disk" "$dev/${volume:-$disk}" 2>/dev/null; }

is_mounted() { findmnt -rn -M "$folder" >/dev/null 2>&1; }

mount_volume() {
  local options uid gid
  uid=$(id -u -- "$user") && gid=$(id -g -- "$user") || return 1
  # FAT keeps local time and the station does not know whose: it is taken as UTC, and the agent knows the zone.
  options=$1,nosuid,nodev,noexec,noatime,uid=$uid,gid=$gid,fmask=0177,dmask=0077,errors=remount-ro
  case $type in
    vfat) options+=,utf8=1,tz=UTC ;;
    exfat) options+=,iocharset=utf8,time_offset=0 ;;
  esac
  case $1 in rw*) set -- -w ;; *) set -- -r ;; esac
  mkdir -p "$folder"
  timeout -k 5 20 mount -i "$1" -t "$type" -o "$options" --source "$dev/$volume" --target "$folder" 2>/dev/null 9>&- || return 1
  # The name may have passed to another device meanwhile. Mounted, it is pinned: now it can be told.
  local mounted
  mounted=$(findmnt -rn -M "$folder" -o MAJ:MIN,OPTIONS) || return 1
  case "$mounted" in
    "$(attribute "$sys/class/block/$volume/dev") ${options%%,*},"*) ;;
    *) return 1 ;;
  esac
  [ "$(attribute "$sys/class/block/$disk/diskseq")" = "$sequence" ]
}

# Leaves no mount at the folder, whatever it takes: look-ups on a device that is gone fail, so only the table counts.
release() {
  local tries=0
  while is_mounted && [ "$((tries += 1))" -le 5 ]; do
    timeout -k 5 20 umount -i "$folder" 2>/dev/null 9>&- || umount -i -l "$folder" 2>/dev/null 9>&- || break
  done
  ! is_mounted || return 1
  rmdir "$folder" 2>/dev/null || :
}

# What a step that broke means: a device that is gone, or one that is broken.
fail_step() {
  release || :
  [ "$(attribute "$sys/class/block/$disk/diskseq")" = "$sequence" ] || fail gone "$1: the device is gone"
  fail broken "$1"
}

mount_readonly() {
  release || fail busy 'an old mount cannot be removed'
  volume=
  [ "$(attribute "$sys/class/block/$disk/size")" != 0 ] || refuse no-medium "$disk has no medium"
  set_access ro || fail_step 'cannot make the disk read-only'
  if ! find_volume; then
    [ "$(attribute "$sys/class/block/$disk/diskseq")" = "$sequence" ] || fail gone 'the device is gone'
    refuse unsupported "no FAT or exFAT on $disk"
  fi
  set_access ro || fail_step 'cannot make the volume read-only'
  # What the cache holds of the device is dropped: the next look is at the device itself.
  timeout -k 5 20 blockdev --flushbufs "$dev/$volume" 2>/dev/null || :
  read_dirty || fail_step 'cannot read the boot sector'
  mount_volume ro || fail_step "cannot mount $volume as $type"
  answer ok "folder=$folder" "type=$type" "dirty=$dirty" "device=$volume" "lun=$lun"
}

# Ends the window. A volume that cannot be unmounted is made read-only as it is, else taken out of sight.
close_window() {
  trap - EXIT
  local is_clean=1
  # Unmounting writes everything out; the folder itself belongs to the agent, and this helper cannot even open it.
  if ! timeout -k 5 20 umount -i "$folder" 2>/dev/null 9>&-; then
    is_clean=0
    timeout -k 5 20 mount -i -o remount,ro "$folder" 2>/dev/null 9>&- || umount -i -l "$folder" 2>/dev/null 9>&- || :
  fi
  timeout -k 5 20 blockdev --flushbufs "$dev/$volume" 2>/dev/null || is_clean=0
  set_access ro || is_clean=0
  [ "$is_clean" = 1 ] || fail_step 'the volume was not written in order'
  read_dirty || fail_step 'cannot read the boot sector'
  [ "$dirty" = 0 ] || fail_step 'the volume was left dirty'
}

do_writable() {
  is_mounted || refuse not-mounted "$port.$lun is not mounted"
  find_volume || refuse unsupported "no FAT or exFAT on $disk"
  read_dirty || fail_step 'cannot read the boot sector'
  [ "$dirty" = 0 ] || refuse dirty 'the volume was not unmounted in order'
  timeout -k 5 20 umount -i "$folder" 2>/dev/null 9>&- || refuse busy 'files of the volume are open'
  trap 'close_window' EXIT
  trap 'exit 1' TERM INT HUP PIPE
  if ! { set_access rw && mount_volume rw,sync; }; then
    trap - EXIT
    release || :
    set_access ro || :
    fail_step "cannot make $volume writable"
  fi
  answer ok "folder=$folder" "type=$type" dirty=0 "device=$volume" "lun=$lun"
  # A client that dies hangs up: the window never outlives it.
  IFS= read -r -n 200 -t "$window_seconds" _ || :
  close_window
  mount_readonly
}

do_unmount() {
  local is_done=1 unit
  for folder in "$mounts/$port".*; do
    unit=${folder#"$mounts/$port."}
    [[ $unit =~ ^[0-9]{1,3}$ && ( -z $1 || $unit = "$1" ) ]] || continue
    release || is_done=0
  done
  [ "$is_done" = 1 ] || fail busy 'a mount cannot be removed'
}

# Every one of them, also when one fails.
switch_on() {
  local switch is_on=1
  for switch in "${switches[@]}"; do { echo 0 >"$switch"; } 2>/dev/null || is_on=0; done
  [ "$is_on" = 1 ]
}

# A port of USB 3 is two: its other half, where there is one, carries the same power.
do_power_cycle() {
  local hub number switch refused=0
  case $port in
    *.*) hub=${port%.*} number=${port##*.} ;;
    *) hub=${port%%-*}-0 number=${port#*-} ;;
  esac
  switches=()
  for switch in "$sys/bus/usb/devices/$hub:"*/{"$hub","usb${port%%-*}"}-port"$number"/{,peer/}disable; do
    [ ! -w "$switch" ] || switches+=("$switch")
  done
  [ "${#switches[@]}" -gt 0 ] || refuse no-switch "the hub of $port has no switch for it"
  do_unmount ''
  # Whatever ends this helper meanwhile: no port stays off.
  trap 'switch_on || :' EXIT
  trap 'exit 1' TERM INT HUP PIPE
  for switch in "${switches[@]}"; do { echo 1 >"$switch"; } 2>/dev/null || refused=1; done
  sleep 2
  switch_on || fail broken "$port stays off"
  trap - EXIT
  [ "$refused" = 0 ] || refuse no-switch "the hub of $port does not switch it"
  answer ok
}

do_usbfs_memory() {
  local limit=$sys/module/usbcore/parameters/usbfs_memory_mb now
  [[ $1 =~ ^[1-9][0-9]{1,3}$ && $1 -ge 16 && $1 -le 1024 ]] || refuse malformed 'between 16 and 1024'
  now=$(attribute "$limit")
  [[ $now =~ ^[0-9]{1,9}$ ]] || fail broken 'the limit cannot be read'
  # 0 is no limit at all.
  if [ "$now" -ne 0 ] && [ "$now" -lt "$1" ]; then
    { echo "$1" >"$limit"; } 2>/dev/null || fail broken 'the limit cannot be raised'
    now=$1
  fi
  answer ok "mib=$now"
}

serve() {
  local line='' words=()
  IFS= read -r -n 200 -t 10 line || [ -n "$line" ] || exit 0
  [[ $line =~ ^[a-z][a-z-]{1,20}(\ [0-9.-]{1,40}){1,3}$ ]] || refuse malformed 'not a request'
  IFS=' ' read -r -a words <<<"$line"
  case "${words[0]} ${#words[@]}" in
    'mount 3' | 'mount 4' | 'writable 3' | 'readonly 3')
      [[ ${words[2]} =~ ^[1-9][0-9]{0,14}$ && ${words[3]:-0} =~ ^[0-9]{1,3}$ ]] || refuse malformed 'not a number'
      claim_port "${words[1]}"
      find_disk "${words[2]}"
      [ "${words[3]:-$lun}" = "$lun" ] || refuse stale "the disk is unit $lun"
      if [ "${words[0]}" = writable ]; then do_writable; else mount_readonly; fi
      ;;
    'unmount 2' | 'unmount 3')
      [[ ${words[2]:-0} =~ ^[0-9]{1,3}$ ]] || refuse malformed 'not a number'
      claim_port "${words[1]}"
      do_unmount "${words[2]:-}"
      answer ok
      ;;
    'power-cycle 2')
      claim_port "${words[1]}"
      do_power_cycle
      ;;
    'usbfs-memory 2') do_usbfs_memory "${words[1]}" ;;
    *) refuse malformed 'not a request' ;;
  esac
}

serve
