#!/bin/bash
# A camera with a serial line over USB on the machine's own bus, at port 1-1: plugged in whenever the machine is up. Its
# recordings are files in /var/camera.
set -e
modprobe -a dummy_hcd libcomposite usb_f_acm
gadget=/sys/kernel/config/usb_gadget/camera
mkdir -p "$gadget/strings/0x409" "$gadget/configs/c.1" "$gadget/functions/acm.0"
echo 0x1d6b >"$gadget/idVendor"
echo 0x0104 >"$gadget/idProduct"
echo BC-LAB-1 >"$gadget/strings/0x409/serialnumber"
ln -s "$gadget/functions/acm.0" "$gadget/configs/c.1/"
echo dummy_udc.0 >"$gadget/UDC"
export LD_LIBRARY_PATH=/usr/lib/docking-station/lib NODE_COMPILE_CACHE=/var/tmp/camera
exec /usr/lib/docking-station/bin/node /mnt/checkout/dock/simulator/main.ts \
  --serial BC-LAB-1 --port /dev/ttyGS0 --baud 921600 --recordings /var/camera
