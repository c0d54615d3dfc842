#!/usr/bin/env bash
# Fetches Debian's qemu-user-static into build/emulators, and into build/emulators/arm64 a program of another processor, for the tests of
# emulation. Installs nothing: the package would register itself with this machine's kernel.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$root_dir/build/emulators
if ! [ -x "$dir/usr/bin/qemu-aarch64-static" ]; then release=bookworm unpack_next_release "$dir" qemu-user-static; fi
if ! [ -x "$dir/arm64/bin/busybox" ]; then release=bookworm architecture=arm64 unpack_next_release "$dir/arm64" busybox-static; fi
"$dir/usr/bin/qemu-aarch64-static" --version | head -n 1
