#!/bin/sh
# Renews one pin file: names, versions and hashes only, no addresses.
set -eu
cd "$(dirname "$0")/.."
common="--universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --quiet"
case $1 in
    all) .venv/bin/uv pip compile $common --group dev pyproject.toml -o requirements/all.txt ;;
    # What services need to run, without the dev group, in the very versions that are tested.
    run) .venv/bin/uv pip compile $common -c requirements/all.txt pyproject.toml -o requirements/run.txt ;;
    nodeps) .venv/bin/uv pip compile $common --no-deps requirements/nodeps.in -o requirements/nodeps.txt ;;
    uv) .venv/bin/uv pip compile $common requirements/uv.in -o requirements/uv.txt ;;
    *) echo "all, run, nodeps or uv" >&2 && exit 2 ;;
esac
