#!/bin/sh
# Makes the database passwords of a container installation, each file for its one reader.
# Usage: sudo infra/secrets.sh [FOLDER]     (without FOLDER: secrets beside this file)
set -eu
umask 077

folder=${1:-"$(cd "$(dirname "$0")" && pwd)/secrets"}
# Users inside the containers, by number: the services, and the database server.
program=10001
server=999

if [ -e "$folder/survey.password" ]; then
    echo "$folder already holds passwords. Nothing was changed." >&2
    exit 1
fi
mkdir -p "$folder"

password() {
    # 32 bytes; none of these letters means anything in a URL or a password file.
    head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'
}

for service in survey aggregate report; do
    for role in "" .owner .admin; do
        password > "$folder/$service$role.password"
    done
    printf '*:*:%s:fairpatch_%s:%s\n' "$service" "$service" \
        "$(cat "$folder/$service.password")" > "$folder/$service.pgpass"
    printf '*:*:%s:fairpatch_%s_owner:%s\n' "$service" "$service" \
        "$(cat "$folder/$service.owner.password")" > "$folder/$service.owner.pgpass"
done

if [ "$(id -u)" = 0 ]; then
    chown "$server:$server" "$folder"/*.password
    chown "$program:$program" "$folder"/*.pgpass
    # Containers get single files; the folder itself is for nobody else.
    echo "Made. Now put certificate.pem and certificate.key there, for user 101 (the proxy) only."
else
    echo "Made, but not handed over: run it as root, or chown *.password to $server and *.pgpass to $program." >&2
fi
