#!/bin/sh
# Makes the Python environment of the bench's peer, Celery, with pinned
# versions: target/celery-venv. Safe to run again; does nothing when the
# environment is there and up to date. Prints the path of its Python.
set -eu

cd "$(dirname "$0")/../../.."
target="${CARGO_TARGET_DIR:-target}"
venv="$target/celery-venv"
wanted="tests/bench/celery/requirements.txt"

if [ -x "$venv/bin/python" ] && cmp -s "$wanted" "$venv/installed.txt"; then
    echo "$venv/bin/python"
    exit 0
fi
if ! command -v python3 >/dev/null 2>&1; then
    echo "tests/bench/celery/setup.sh: failed to find python3; install it (Debian: apt-get install python3 python3-venv), or leave Celery out (--contestants least,bare,offboard)" >&2
    exit 1
fi
mkdir -p "$target"
rm -rf "$venv"
if ! python3 -m venv "$venv" >&2; then
    echo "tests/bench/celery/setup.sh: failed to make a virtual environment; install its module (Debian: apt-get install python3-venv), or leave Celery out (--contestants least,bare,offboard)" >&2
    exit 1
fi
if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$wanted" >&2; then
    echo "tests/bench/celery/setup.sh: failed to install Celery; see above, or leave Celery out (--contestants least,bare,offboard)" >&2
    exit 1
fi
# Last, so that a broken run is begun anew.
cp "$wanted" "$venv/installed.txt"
echo "$venv/bin/python"
