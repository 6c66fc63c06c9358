#!/usr/bin/env bash
# Brings the project's own environments in line with its lock files; says nothing when they already are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
# uv's version for the first step; after it, the one in uv.lock.
uv_version=$(sed -n '/^name = "uv"$/{n;s/version = "\(.*\)"/\1/p;q;}' uv.lock)

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "Python 3.11 or newer is needed, and '$python' is $("$python" --version 2>&1 || echo 'not there')." >&2
  echo "Name another one with: make PYTHON=python3.13 …" >&2
  exit 1
fi

# What the environments were made from: the lock files, the Python, and this folder (scripts hold its path).
wanted=$({ cat uv.lock pyproject.toml local/uv.lock local/pyproject.toml package-lock.json tools/setup.sh; pwd
           "$python" -c 'import sys; print(sys.version, sys.base_prefix)'; } | cksum)
stamp=.venv/.made-from
if [ -x .venv/bin/python ] && [ -x local/.venv/bin/local-aws ] && [ -x node_modules/.bin/cdk ] &&
   [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi

made_with() { "$1/bin/python" -c 'import sys; print(sys.version, sys.base_prefix, sys.prefix)' 2>/dev/null || true; }
expected() { "$python" -c 'import sys; print(sys.version, sys.base_prefix, sys.argv[1])' "$PWD/$1"; }
for environment in .venv local/.venv; do
  # Left from another Python, or copied from another folder: make it anew.
  if [ -e "$environment" ] && [ "$(made_with "$environment")" != "$(expected "$environment")" ]; then
    rm -rf "$environment"
  fi
  if [ ! -e "$environment" ] && ! "$python" -m venv "$environment"; then
    rm -rf "$environment"
    echo "'$python -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2
    exit 1
  fi
done

echo "Setting up: Python packages (the first time takes a minute) …"
if [ ! -x .venv/bin/uv ]; then
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
fi
export UV_COMPILE_BYTECODE=1
uv="$PWD/.venv/bin/uv"
"$uv" sync --frozen --quiet
"$uv" sync --frozen --quiet --project local
echo "Setting up: the CDK command-line tool …"
PATH="$PWD/.venv/bin:$PATH" npm ci --silent --no-audit --no-fund
printf '%s' "$wanted" > "$stamp"
