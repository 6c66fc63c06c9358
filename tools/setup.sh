#!/usr/bin/env bash
# Brings the project's own environments in line with its lock files; says nothing when they already are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The Makefile puts our own environment first; it cannot be what makes that environment.
PATH=${PATH//"$PWD/.venv/bin:"/}
python=${PYTHON:-python3}
# uv's version for the first step; after it, the one in uv.lock.
uv_version=$(sed -n '/^name = "uv"$/{n;s/version = "\(.*\)"/\1/p;q;}' uv.lock)

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "Python 3.11 or newer is needed, and '$python' is $("$python" --version 2>&1 || echo 'not there')." >&2
  echo "Name another one with: make PYTHON=python3.13 …" >&2
  exit 1
fi

# What the environments were made with (scripts in them hold this folder's path), and what was installed then.
made_with="$PWD $("$python" -c 'import sys; print(sys.base_prefix, *sys.version_info)')"
installed=$(cat uv.lock pyproject.toml local/uv.lock local/pyproject.toml package-lock.json tools/setup.sh | cksum)
stamp=.venv/.made-from
if [ -x .venv/bin/python ] && [ -x local/.venv/bin/local-aws ] && [ -x node_modules/.bin/cdk ] &&
   [ "$(cat "$stamp" 2>/dev/null)" = "$made_with"$'\n'"$installed" ]; then
  exit 0
fi

# Left from another Python, or copied from another folder: make them anew.
if [ "$(head -n 1 "$stamp" 2>/dev/null)" != "$made_with" ]; then
  rm -rf .venv local/.venv
fi
for environment in .venv local/.venv; do
  if [ ! -x "$environment/bin/python" ] && ! "$python" -m venv --clear "$environment"; then
    rm -rf "$environment"
    echo "'$python -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2
    exit 1
  fi
done
printf '%s\n' "$made_with" > "$stamp"

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
printf '%s\n%s\n' "$made_with" "$installed" > "$stamp"
