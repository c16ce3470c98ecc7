#!/usr/bin/env bash
# Prepare .venv for `make demo` and `make test` on a bare Debian or Ubuntu machine. With "docs", add
# the packages for `make docs`. With "lowest", prepare .venv-lowest with the lowest supported napari
# and without torch, which the plugin must not need in napari's process.
#
# Later runs only compare a stamp of pyproject.toml, the versions, this file and the location.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kind=${1:-newest}
if [ "$kind" = lowest ]; then
    venv=.venv-lowest constraints=constraints-lowest.txt
else
    venv=.venv constraints=constraints.txt
fi
stamp="$venv/.setup-stamp-$kind"

say() { printf '%s\n' "$*" >&2; }
stop() {
    say "Error: $*"
    exit 1
}

fingerprint() {
    { pwd -P; cat pyproject.toml "$constraints" scripts/setup.sh; } | cksum
}

is_current() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ] && "$venv/bin/python" -c '' 2>/dev/null
}

is_suitable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if is_suitable "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    if [ -n "${PYTHON:-}" ]; then
        stop "PYTHON=$PYTHON is not a Python 3.11 or newer. Set it to one that is."
    fi
    stop "no Python 3.11 or newer found. Install one (Debian 12, Ubuntu 24.04:" \
        "apt-get install python3 python3-venv), or name one: make test PYTHON=/path/to/python3"
}

# A folder that was moved or copied with the clone, or whose Python is missing, is recreated.
is_reusable() {
    grep -qsF " $(pwd -P)/$venv" "$venv/pyvenv.cfg" && "$venv/bin/python" -m pip --version >/dev/null 2>&1
}

make_venv() {
    local python package
    python=$(find_python)
    say "Setting up $venv with $python. This happens once and takes some minutes and a few GB."
    rm -rf "$venv"
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        scripts/apt_install.sh "$package" || stop "$python cannot make virtual environments." \
            "As an administrator run: apt-get install $package"
    fi
    "$python" -m venv "$(pwd -P)/$venv"
}

install_packages() {
    local pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet)
    # Build in .venv with a pinned hatchling instead of an isolated environment.
    "${pip[@]}" --constraint "$constraints" hatchling || return
    if [ "$kind" != lowest ]; then
        local extra=dev
        [ "$kind" = newest ] || extra=$kind
        "${pip[@]}" --constraint "$constraints" --no-build-isolation --editable ".[$extra]"
        return
    fi
    "$venv/bin/python" scripts/requirements.py all test --without torch >"$venv/requirements.txt" &&
        "${pip[@]}" --constraint "$constraints" --requirement "$venv/requirements.txt" &&
        "${pip[@]}" --no-deps --no-build-isolation --editable .
}

if is_current; then
    exit 0
fi
rm -f "$stamp"
is_reusable || make_venv
say "Installing the packages of pyproject.toml in the versions of $constraints."
install_packages || stop "the packages could not be installed: see pip's message above."
fingerprint >"$stamp"
