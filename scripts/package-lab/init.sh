#!/bin/busybox sh
# First process of the package lab's machine: its disk, the modules of its kernel and this checkout, then its own init.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
mount -t ext4 /dev/vda /newroot || exec poweroff -f
mkdir -p /newroot/mnt/checkout /newroot/lib/modules
share() { mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro "$1" "/newroot/$2"; }
share checkout mnt/checkout
share modules lib/modules
for folder in proc sys dev; do mount --move /$folder /newroot/$folder; done
exec switch_root /newroot /sbin/init
