#!/usr/bin/env bash
# Tries what is handed to the control room with Debian's Mosquitto and Zabbix agent 2: npm run test:monitoring
# [-- VITEST_OPTION ...]. Installs them as root; otherwise says what is missing and exits with 77.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin"
missing=()
command -v mosquitto >/dev/null || missing+=(mosquitto)
command -v mosquitto_sub >/dev/null || missing+=(mosquitto-clients)
command -v zabbix_agent2 >/dev/null || missing+=(zabbix-agent2)
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || { echo "needs: apt-get install ${missing[*]}"; exit 77; }
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null
fi
exec node_modules/.bin/node node_modules/vitest/vitest.mjs run --config test/monitoring/vitest.config.ts "$@"
