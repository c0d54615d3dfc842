#!/usr/bin/env bash
# What `npm pack` does first: builds, and puts together what goes into the package.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
node packaging/npm/manifest.mjs restore # of a pack that was cut off
[ -n "${CAISSON_PACKAGE_BUILT:-}" ] || bash scripts/setup.sh build
node packaging/stage.mjs npm
node packaging/npm/manifest.mjs swap
