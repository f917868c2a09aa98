#!/bin/sh
# Makes a virtual environment in the checkout with everything pinned by hash.
# Usage: infra/setup.sh PYTHON FOLDER
set -eu

python=$1
venv=$2
here=$(cd "$(dirname "$0")/.." && pwd)

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Fairpatch needs Python 3.11 or newer. Name one with: make setup PYTHON=python3.12" >&2
    exit 1
}

echo "Making the environment in $venv"
"$python" -m venv "$venv"
bin=$venv/bin

# uv first, because it is many times faster; plain pip does the same from the same pins.
if "$bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
    -r "$here/requirements/uv.txt"; then
    install() { "$bin/uv" pip install --quiet --python "$bin/python" --require-hashes "$@"; }
else
    echo "uv can't be installed here; using pip"
    install() { "$bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "$@"; }
fi
echo "Installing pinned packages"
install -r "$here/requirements/all.txt"
install --no-deps -r "$here/requirements/nodeps.txt"

# The checkout itself: a path file and a command, without building anything.
site=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$here" > "$site/fairpatch.pth"
printf '#!%s\nfrom services.cli import main\n\nmain()\n' "$(cd "$bin" && pwd)/python" > "$bin/fairpatch"
chmod +x "$bin/fairpatch"
touch "$venv/.ready"
echo "Ready"
