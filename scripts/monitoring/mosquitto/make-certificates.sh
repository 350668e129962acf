#!/bin/sh
# A small authority and certificates for trying, not for service: make-certificates.sh FOLDER BROKER-HOST NAME...
# A NAME is DEPARTMENT/POST/STATION, monitoring or control-room.
set -eu
folder=$1 host=$2
shift 2
umask 077
mkdir -p "$folder"
cd "$folder"
key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365'
[ -e ca.key ] || openssl req -x509 $key -keyout ca.key -out ca.crt -subj '/CN=dock trial authority' 2>/dev/null
certificate() {
  openssl req -x509 $key -CA ca.crt -CAkey ca.key -keyout "$1.key" -out "$1.crt" -multivalue-rdn \
    -subj "/CN=$2" -addext 'basicConstraints=critical,CA:FALSE' -addext "$3" 2>/dev/null
}
case $host in *[!0-9.]*) certificate broker "$host" "subjectAltName=DNS:$host" ;; *) certificate broker "$host" "subjectAltName=IP:$host" ;; esac
for name; do
  certificate "$(printf %s "$name" | tr / -)" "$(printf %s "$name" | sed 's|/|\\/|g')" 'extendedKeyUsage=clientAuth'
done
