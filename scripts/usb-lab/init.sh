#!/bin/busybox sh
# First process of the lab: mounts the host's file system over 9p and hands over to guest.sh there.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p; do
  insmod /modules/$module.ko 2>/dev/null
done
# cache=loose: the guest keeps what it has read. Without it each import of a module is dozens of round trips.
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro root /newroot || exec poweroff -f
mkdir -p /host && mount --bind /newroot /host
for folder in tmp run mnt var/tmp; do mount -t tmpfs tmpfs /newroot/$folder; done
mkdir -p /newroot/mnt/lab
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 exchange /newroot/mnt/lab
# A checkout in one of these is put back where it was.
checkout=$(sed -n 's/.*lab_root=\([^ ]*\).*/\1/p' /proc/cmdline)
if [ -n "$checkout" ] && [ ! -e "/newroot$checkout" ]; then
  mkdir -p "/newroot$checkout" && mount --bind "/host$checkout" "/newroot$checkout"
fi
umount /host
for folder in proc sys dev; do mount --move /$folder /newroot/$folder; done
exec switch_root /newroot /bin/bash /mnt/lab/guest.sh
