#!/bin/sh
# Make the secrets of docker-compose.yml: random, each in a file of its own, none ever replaced.
#   deploy/make-secrets.sh FOLDER
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 FOLDER" >&2
    exit 2
fi
folder=$1
# Compose mounts the files as they are, and each container's own account must read them. So the
# files are open and the folder is closed: other accounts of this host get no further than that.
mkdir -p "$folder"
chmod 0700 "$folder"

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# An API key: its last digits are the beginning of the SHA-256 of the others.
key() {
    body="fd_$(random)"
    printf '%s%s' "$body" "$(printf '%s' "$body" | sha256sum | cut -c1-8)"
}

# put NAME TEXT: once
put() {
    if [ -e "$folder/$1" ]; then
        echo "kept $folder/$1"
        return
    fi
    printf '%s\n' "$2" > "$folder/$1.new"
    chmod 0444 "$folder/$1.new"
    mv "$folder/$1.new" "$folder/$1"
    echo "made $folder/$1"
}

put postgres_password "$(random)"
put postgres_reader_password "$(random)"
put postgres_grafana_password "$(random)"
put grafana_admin_password "$(random)"
put featuredrift_key_pepper "$(random)"
put featuredrift_bootstrap_key "$(key)"
put featuredrift_metrics_key "$(key)"
put redis.conf "requirepass $(random)"

# The URLs follow from the passwords that lie there now.
owner=$(cat "$folder/postgres_password")
reader=$(cat "$folder/postgres_reader_password")
broker=$(sed -n 's/^requirepass //p' "$folder/redis.conf")
put database_url "postgresql://featuredrift:$owner@postgres:5432/featuredrift"
put reader_database_url "postgresql://featuredrift_reader:$reader@postgres:5432/featuredrift"
put redis_url "redis://default:$broker@redis:6379/0"
