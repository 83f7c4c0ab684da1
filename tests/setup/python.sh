#!/bin/sh
# Makes the Python environment of what is somebody else's: what verifies our
# evidence, collects our traces, and serves S3 and SCIM. target/test-venv, with pinned
# versions. Safe to run again; does nothing when it is there and up to date.
set -eu

cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-target}"
venv="$target/test-venv"
wanted="tests/setup/python-requirements.txt"

if [ -x "$venv/bin/python" ] && cmp -s "$wanted" "$venv/installed.txt"; then
    exit 0
fi
if ! command -v python3 >/dev/null 2>&1; then
    echo "tests/setup/python.sh: failed to find python3; install it (Debian: apt-get install python3 python3-venv)" >&2
    exit 1
fi
mkdir -p "$target"
rm -rf "$venv"
if ! python3 -m venv "$venv"; then
    echo "tests/setup/python.sh: failed to make a virtual environment; install its module (Debian: apt-get install python3-venv)" >&2
    exit 1
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$wanted"
# Last, so that a broken run is begun anew.
cp "$wanted" "$venv/installed.txt"
