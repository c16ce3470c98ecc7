#!/usr/bin/env bash
# Run a command on the screen there is, or on an invisible one.
set -euo pipefail

if [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v xvfb-run >/dev/null; then
    exec xvfb-run --auto-servernum --server-args "-screen 0 1400x900x24" "$@"
fi
exec "$@"
