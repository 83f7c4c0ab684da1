#!/usr/bin/env bash
# Makes what deploy/compose.yaml names under deploy/secrets: keys, passwords,
# certificates, and what broker and ledger must know of them. What is there
# stays; run it again after a client's file has named a site, or to add what a
# newer version needs. Needs openssl and the program itself.
#
#   deploy/compose/secrets.sh [OFFBOARD] [FOLDER]
#
# As root it also gives each file to the user who reads it in its container;
# otherwise it says how.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
offboard=${1:-offboard}
secrets=${2:-$here/secrets}
umask 077

areas="identity mailbox device license knowledge desk"
# The roles' user and the servers' user, as their images have them.
ours=65532
servers=999

"$offboard" init "$secrets" >/dev/null
# The keys of the workers' queues; those that are there are kept.
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$offboard" -C "$secrets" keys worker --to "$fresh" >/dev/null
mkdir -p "$secrets/keys/queues"
cp -n "$fresh"/queues/* "$secrets/keys/queues/"

password() { # file
  [ -s "$secrets/$1.password" ] || openssl rand -hex 24 >"$secrets/$1.password"
}
for user in ledger-dispatcher ledger-clerk queue-dispatcher queue-worker queue-closer queue-observer redis-health grafana; do
  password "$user"
done
for area in $areas; do password "queue-worker-$area"; done

# One authority of our own, and a certificate for each server under its name.
if [ ! -s "$secrets/authority.pem" ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj "/CN=Offboard authority" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -keyout "$secrets/authority.key" -out "$secrets/authority.pem" 2>/dev/null
fi
for server in rabbitmq redis; do
  [ -s "$secrets/$server.pem" ] && continue
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$server" \
    -keyout "$secrets/$server.key" -out "$fresh/$server.csr" 2>/dev/null
  printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' "$server" >"$fresh/$server.ext"
  openssl x509 -req -in "$fresh/$server.csr" -CA "$secrets/authority.pem" -CAkey "$secrets/authority.key" \
    -CAcreateserial -days 825 -extfile "$fresh/$server.ext" -out "$secrets/$server.pem" 2>/dev/null
done

# The broker's definitions, with every password as a salted hash.
read_password() { tr -d '\n' <"$secrets/$1.password"; }
variables() {
  local area
  echo "OFFBOARD_BROKER_PASSWORD_OFFBOARD_DISPATCHER=$(read_password queue-dispatcher)"
  echo "OFFBOARD_BROKER_PASSWORD_OFFBOARD_WORKER=$(read_password queue-worker)"
  echo "OFFBOARD_BROKER_PASSWORD_OFFBOARD_CLOSER=$(read_password queue-closer)"
  echo "OFFBOARD_BROKER_PASSWORD_OFFBOARD_OBSERVER=$(read_password queue-observer)"
  for area in $areas; do
    echo "OFFBOARD_BROKER_PASSWORD_OFFBOARD_WORKER_${area^^}=$(read_password "queue-worker-$area")"
  done
}
(
  # In this process's environment alone, never on a command line.
  while IFS= read -r line; do export "${line?}"; done < <(variables)
  "$offboard" -C "$secrets" topology --vhost offboard >"$fresh/definitions.json"
)
mv "$fresh/definitions.json" "$secrets/definitions.json"

# The ledger's users, each with the hash of its password.
while IFS= read -r line; do
  user=$(printf %s "$line" | cut -d' ' -f2)
  case $user in
    offboard-dispatcher) file=ledger-dispatcher ;;
    offboard-clerk) file=ledger-clerk ;;
    offboard-health) file=redis-health ;;
    *) printf '%s\n' "$line"; continue ;;
  esac
  printf '%s #%s\n' "$line" "$(read_password "$file" | openssl dgst -sha256 -r | cut -d' ' -f1)"
done <"$here/redis/users.acl" >"$fresh/users.acl"
mv "$fresh/users.acl" "$secrets/users.acl"

# Compose mounts each file as it is here, so its owner here is who can read it there.
give() { # user, files
  local user=$1 file
  shift
  for file in "$@"; do
    if [ "$(id -u)" = 0 ]; then chown "$user:$user" "$secrets/$file"; else echo "sudo chown $user:$user '$secrets/$file'"; fi
  done
}
chmod 0444 "$secrets/authority.pem"
cd "$secrets"
give "$ours" keys/*.key keys/signing.pem keys/queues/*.key keys/public keys/public/*.pem ledger-*.password queue-*.password tenants tenants/*
give "$servers" definitions.json rabbitmq.pem rabbitmq.key users.acl redis.pem redis.key redis-health.password
# The user of Grafana's image.
give 472 grafana.password
