#!/bin/sh
# Makes the files of secrets/ for compose.yaml, with passwords that nobody has to know. The folder is
# yours alone. The files in it are not, as each container reads them under a user of its own.
set -eu
cd "$(dirname "$0")"
if [ -e secrets ]; then
  echo "secrets.sh: $PWD/secrets is there already; the database knows its password" >&2
  exit 1
fi
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

password="$(random)"
token="$(random)"
mkdir -m 0700 secrets
cd secrets
printf '%s' "$password" > database_password
printf 'postgresql://stocks:%s@database:5432/stocks' "$password" > database_url
printf 'nats://%s@bus:4222' "$token" > bus_url
printf 'port: 4222\nauthorization { token: "%s" }\n' "$token" > nats.conf
chmod 0444 ./*
