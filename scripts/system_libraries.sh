#!/usr/bin/env bash
# Install the system packages that Qt and a virtual screen need, if missing (Debian, Ubuntu).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(
    xvfb xauth libegl1 libgl1 libgl1-mesa-dri libxkbcommon-x11-0 libdbus-1-3 libxcb-cursor0
    libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxcb-xinerama0 libxcb-image0
    libxcb-render-util0 libfontconfig1 libglib2.0-0
)

# Other systems include these in Qt or their desktop.
command -v dpkg-query >/dev/null || exit 0

# Newer releases rename some of them to NAMEt64; apt-get still finds them by the old name.
installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' \
    "${packages[@]}" "${packages[@]/%/t64}" 2>/dev/null | sed 's/t64$//' || true)
missing=()
for package in "${packages[@]}"; do
    grep -qx "installed $package" <<<"$installed" || missing+=("$package")
done

if [ ${#missing[@]} -eq 0 ] || scripts/apt_install.sh "${missing[@]}"; then
    exit 0
fi
echo "Error: system packages that Qt needs are missing. As an administrator run:" \
    "apt-get install ${missing[*]}" >&2
exit 1
