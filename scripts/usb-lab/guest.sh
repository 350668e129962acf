#!/bin/bash
# Runs in the virtual machine: loads the USB stack, starts udev, runs the command, hands its status out.
eval "$(head -n 1 /mnt/lab/command)"
export LAB_EXCHANGE=/mnt/lab
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts 2>/dev/null
mount -t tmpfs tmpfs /dev/shm
for module in configfs usbcore dummy_hcd=num=8 libcomposite usb_f_fs usb_f_acm usb_f_hid usb_f_mass_storage \
  cdc_acm usbhid hid-generic usb-storage uhid vfat exfat nls_cp437 nls_ascii nls_utf8 nls_iso8859-1 sd_mod; do
  name=${module%%=*}
  if [ "$name" = "$module" ]; then modprobe -d "$LAB_MODULES" -S "$LAB_KERNEL" "$name"
  else modprobe -d "$LAB_MODULES" -S "$LAB_KERNEL" "$name" "${module#*=}"; fi
done
mount -t configfs configfs /sys/kernel/config
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
[ -x /lib/systemd/systemd-udevd ] && { mkdir -p /run/udev; /lib/systemd/systemd-udevd --daemon; }
ip link set lo up 2>/dev/null
bash /mnt/lab/command
echo $? >/mnt/lab/status
sync
/bin/busybox poweroff -f
