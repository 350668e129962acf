#!/bin/sh
# The runtime comes with the package, and two libraries that a bare system lacks.
LD_LIBRARY_PATH=/usr/lib/docking-station/lib exec /usr/lib/docking-station/bin/node \
  --disable-warning=ExperimentalWarning /usr/lib/docking-station/agent/cli/dockctl.ts "$@"
