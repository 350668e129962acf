#!/bin/busybox sh
# First process of the lab: mounts the host's file system over 9p and hands over to guest.sh there.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p; do
  insmod /modules/$module.ko 2>/dev/null
done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,ro root /newroot || exec poweroff -f
mount -t tmpfs tmpfs /newroot/tmp
mount -t tmpfs tmpfs /newroot/run
mount -t tmpfs tmpfs /newroot/mnt
mkdir -p /newroot/mnt/lab
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 exchange /newroot/mnt/lab
for folder in proc sys dev; do mount --move /$folder /newroot/$folder; done
exec switch_root /newroot /bin/bash /mnt/lab/guest.sh
