#!/usr/bin/env bash
# Writes all C of ours as .clang-format says; with --check only tells of what is written otherwise. Of another version's output
# nothing is known, so it is Debian 12's.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root_dir"
command -v clang-format-14 >/dev/null || die 'no clang-format-14 (scripts/packages.txt): bash scripts/setup.sh test'
how=(-i)
[ "${1:-}" != --check ] || how=(--dry-run -Werror)
find guest include native protocol test -name '*.[ch]' -print0 | xargs -0 clang-format-14 "${how[@]}"
