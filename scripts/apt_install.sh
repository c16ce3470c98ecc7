#!/usr/bin/env bash
# Install Debian packages if the user may do so without a password; otherwise fail quietly.
set -euo pipefail

command -v apt-get >/dev/null || exit 1
if [ "$(id -u)" -eq 0 ]; then
    may=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    may=(sudo -n env)
else
    exit 1
fi
echo "Installing system packages: $*" >&2
apt=("${may[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq)
"${apt[@]}" install -y --no-install-recommends "$@" </dev/null >/dev/null 2>&1 && exit
# The package lists of a new machine are empty or outdated.
"${apt[@]}" update </dev/null >&2
"${apt[@]}" install -y --no-install-recommends "$@" </dev/null >&2
