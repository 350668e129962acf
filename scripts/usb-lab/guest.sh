#!/bin/bash
# Runs in the virtual machine: loads the USB stack, starts udev, mounts the scratch disk, runs the command, hands its
# status out.
eval "$(head -n 1 /mnt/lab/command)"
mkdir -p /dev/pts /dev/shm /mnt/disk
mount -t devpts devpts /dev/pts 2>/dev/null
mount -t tmpfs tmpfs /dev/shm
load() { modprobe -d "$LAB_MODULES" -S "$LAB_KERNEL" "$@"; }
# ext4 asks for crc32c by its crypto name, which modprobe without -d would have to resolve.
load -a crc32c_generic configfs usbcore libcomposite usb_f_fs usb_f_acm usb_f_hid usb_f_mass_storage cdc_acm usbhid \
  hid-generic usb-storage sd_mod uhid xhci-pci vfat exfat nls_cp437 nls_ascii nls_utf8 nls_iso8859-1 virtio_blk ext4
load dummy_hcd num=12
load loop max_loop=32
mount -t configfs configfs /sys/kernel/config
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
ip link set lo up 2>/dev/null
# A disk pulled in a test is no news.
dmesg -n 1
# udev's rule for it needs a cold plug of everything: notice cards that are put into a slot.
echo 2000 >/sys/module/block/parameters/events_dfl_poll_msecs
mount -o discard /dev/vda /mnt/disk
# Rules that open each new camera to see what it is (mtp-probe) would be a second host on the line.
mkdir -p /run/udev/rules.d
for rule in 69-libmtp 60-libgphoto2-6; do ln -s /dev/null /run/udev/rules.d/$rule.rules; done
/lib/systemd/systemd-udevd --daemon
echo 'usb-lab: ready'
bash /mnt/lab/command
echo $? >/mnt/lab/status
# What the kernel knows of a program that crashed, which is all that is left of it.
dmesg | grep -E 'segfault at|general protection fault'
sync
/bin/busybox poweroff -f
