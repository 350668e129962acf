#!/bin/bash
# Which interfaces of a device in a bay the kernel may use. udev calls it as root (70-docking-station.rules):
#
#   dock-usb-policy bay-of DEVPATH      prints DOCK_BAY=PORT for whatever hangs on a bay
#   dock-usb-policy authorize DEVPATH   a root hub or an interface has appeared
#   dock-usb-policy bound DEVPATH       an interface has got a driver
#   dock-usb-policy revoke DEVPATH      the kernel has made a keyboard, a network card or the like of something
#
# On busses that carry bays the kernel is told to bind nothing by itself (Documentation/usb/authorization.rst). What
# is in a bay is allowed when all of it is what a camera shows, and else nothing of it; all other devices of the bus
# are allowed at once. The device itself stays configured, so that the agent can say what it pretended to be.
set -euo pipefail
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
ports=${DOCK_BAY_PORTS:-/etc/docking-station/bay-ports}
sys=${DOCK_SYS:-/sys}
port_pattern='^[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,5}$'

# The first line of a sysfs attribute; empty when there is none.
attribute() {
  local value=
  { IFS= read -r value <"$1"; } 2>/dev/null || :
  printf '%s' "$value"
}

is_bay() { [ -r "$ports" ] && grep -Fxq -e "$1" -- "$ports"; }
has_bays() { grep -Eq "^$1-" -- "$ports" 2>/dev/null; }

# Prints the bay through which a sysfs path leads; false when there is none.
bay_of() {
  local part parts=()
  IFS=/ read -r -a parts <<<"$1"
  for part in "${parts[@]}"; do
    if [[ $part =~ $port_pattern ]] && is_bay "$part"; then
      printf '%s' "$part"
      return 0
    fi
  done
  return 1
}

# What a camera may show: still image, disk, serial port, HID other than boot keyboard and mouse, MTP by its name.
# 02/02/ff is left out: it is RNDIS, a network card.
is_camera_interface() {
  local triple
  triple=$(attribute "$1/bInterfaceClass")/$(attribute "$1/bInterfaceSubClass")/$(attribute "$1/bInterfaceProtocol")
  case $triple in
    06/01/01 | 08/06/50 | 08/06/62 | 02/02/0[0-6] | 0a/*/* | 03/00/00) ;;
    ff/*/*) case $(attribute "$1/interface") in *MTP*) ;; *) return 1 ;; esac ;;
    *) return 1 ;;
  esac
}

set_authorized() {
  [ "$(attribute "$1/authorized")" = "$2" ] || { echo "$2" >"$1/authorized"; } 2>/dev/null || :
}

# Allows all interfaces first, because drivers of one claim another, then has drivers look at them.
allow() {
  local interface
  for interface; do set_authorized "$interface" 1; done
  for interface; do
    [ -e "$interface/driver" ] || { echo "${interface##*/}" >"$sys/bus/usb/drivers_probe"; } 2>/dev/null || :
  done
}

# Whether all drivers of a device are those of cameras. Some bind by vendor and product, whatever an interface says of
# itself. usbfs is a program, such as the agent.
has_camera_drivers() {
  local interface driver
  for interface; do
    driver=$(readlink -- "$interface/driver" || :)
    case ${driver##*/} in
      '' | usbfs | usb-storage | uas | cdc_acm | usbhid) ;;
      *) return 1 ;;
    esac
  done
}

# Leaves a device without drivers. It stays configured and visible.
forbid() {
  local interface
  for interface in "$1/$2:"*; do set_authorized "$interface" 0; done
}

# An interface has appeared. All of a device is allowed once all of it is known to be that of a camera, or nothing.
authorize_interface() {
  local device=$1 name=$2 port bay interface expected is_stranger=0 seen=0
  port=${name%%:*}
  if ! bay=$(bay_of "$device"); then
    ! has_bays "${port%%-*}" || allow "$device/$name"
    return 0
  fi
  # Behind a hub in a bay there is no camera.
  [ "$bay" = "$port" ] || is_stranger=1
  for interface in "$device/$port:"*; do
    seen=$((seen + 1))
    is_camera_interface "$interface" || is_stranger=1
  done
  if [ "$is_stranger" = 1 ]; then
    forbid "$device" "$port"
    return 0
  fi
  expected=$(attribute "$device/bNumInterfaces")
  if ! [[ $expected =~ ^\ *([0-9]{1,3})\ *$ ]]; then
    forbid "$device" "$port"
    return 0
  fi
  # The event of the last one decides.
  [ "$seen" -ge "${BASH_REMATCH[1]}" ] || return 0
  allow "$device/$port:"*
  has_camera_drivers "$device/$port:"* || forbid "$device" "$port"
}

[ $# = 2 ] || exit 2
[[ $2 =~ ^/devices/[A-Za-z0-9:._/-]{1,400}$ && $2 != *..* ]] || exit 2
case $1 in
  bay-of) if bay=$(bay_of "$2"); then printf 'DOCK_BAY=%s\n' "$bay"; fi ;;
  authorize)
    if [[ ${2##*/} =~ ^usb([0-9]{1,3})$ ]]; then
      ! has_bays "${BASH_REMATCH[1]}" || echo 0 >"$sys$2/interface_authorized_default"
    elif [[ ${2##*/} =~ ^[0-9]{1,3}-[0-9.]{1,24}:[0-9]{1,3}\.[0-9]{1,3}$ ]]; then
      path=$sys$2
      authorize_interface "${path%/*}" "${2##*/}"
    fi
    ;;
  bound)
    # A driver whose module was loaded later.
    path=$sys${2%/*}
    port=${2##*/}
    port=${port%%:*}
    if bay_of "$2" >/dev/null && ! has_camera_drivers "$path/$port:"*; then forbid "$path" "$port"; fi
    ;;
  revoke)
    if bay=$(bay_of "$2"); then forbid "$sys${2%%/"$bay"/*}/$bay" "$bay"; fi
    ;;
  *) exit 2 ;;
esac
