#!/usr/bin/env bash
# Runs the tests that need a real USB stack (test/**/*.lab.test.ts) in the lab's virtual machine.
#
#   npm run test:usb [-- FILTER ... VITEST_OPTION ...]      such as: npm run test:usb -- usb-tree -t 'hub'
#
# --outputFile.json=PATH (with --reporter=json) is a path on this machine, as with any other vitest run.
# Environment and exit status: boot.sh. The hubs of USB_LAB_HUBS are on unless it is set empty.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exchange=$(mktemp -d)
trap 'rm -rf "$exchange"' EXIT
report=''
arguments=()
for argument in "$@"; do
  case $argument in
    --outputFile.json=*) report=${argument#*=}; arguments+=(--outputFile.json=/mnt/lab/report.json) ;;
    *) arguments+=("$argument") ;;
  esac
done
status=0
# --configLoader: the default writes a bundled copy of the configuration into node_modules.
USB_LAB_EXCHANGE=$exchange USB_LAB_HUBS=${USB_LAB_HUBS-1} USB_LAB_TIMEOUT=${USB_LAB_TIMEOUT:-1800} \
  "$here/boot.sh" node node_modules/vitest/vitest.mjs run --config test/usb/vitest.config.ts --configLoader native \
  "${arguments[@]}" || status=$?
if [ -n "$report" ] && [ -e "$exchange/report.json" ]; then cp "$exchange/report.json" "$report"; fi
exit "$status"
