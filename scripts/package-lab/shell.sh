#!/bin/bash
# Runs commands for the test, one a line in base64, over the machine's second serial port; answers each with its exit
# status and what it printed.
exec <>/dev/ttyS1 >&0
stty raw -echo
# Under emulation it is half of what dockctl takes.
export NODE_COMPILE_CACHE=/var/tmp/dockctl
echo ready
while read -r line; do
  printed=$(bash -c "$(base64 -d <<<"$line")" 2>&1 </dev/null | base64 -w 0; exit "${PIPESTATUS[0]}")
  echo "$? $printed"
done
