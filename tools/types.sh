#!/usr/bin/env bash
# mypy --strict over everything that ships or runs; each folder under lambda/ is its own import root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mypy constructs/cdk_data_science stacks settings app.py tools examples benchmarks
for asset in lambda/*/; do
  MYPYPATH=$asset mypy "$asset"
done
cd local && mypy --python-executable .venv/bin/python local_aws
