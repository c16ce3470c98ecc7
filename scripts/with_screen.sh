#!/usr/bin/env bash
# Run a command on the current screen, or on a virtual one if there is none.
set -euo pipefail

if [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v xvfb-run >/dev/null; then
    exec xvfb-run --auto-servernum --server-args "-screen 0 1400x900x24" "$@"
fi
exec "$@"
