#!/usr/bin/env bash
# `npm run up`: sets up, then `caisson up`. Running it again is fine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh
exec node dist/main.js up --yes
