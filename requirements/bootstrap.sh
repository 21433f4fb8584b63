#!/usr/bin/env bash
# bootstrap.sh PYTHON VENV: make the virtual environment from the lock. Nothing outside VENV changes.
set -euo pipefail
python=$1 venv=$2
here=$(cd "$(dirname "$0")" && pwd)

install_line="apt-get install -y python3 python3-venv"
if [ -z "$python" ] || ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -q && DEBIAN_FRONTEND=noninteractive $install_line -q
    python=python3
  else
    echo "memqos needs Python 3.11 or newer with venv: run 'sudo $install_line'" >&2
    exit 1
  fi
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "memqos needs Python 3.11 or newer; $("$python" --version) is the newest here" >&2
  exit 1
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$here/all.lock"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable "$here/.."
