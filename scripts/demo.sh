#!/usr/bin/env bash
# Run the command line's demo and, if there is a display, open its results in napari.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=napari-unet-demo
previous=
for argument in "$@"; do
    case "$previous=$argument" in --out=*) folder=$argument ;; esac
    case "$argument" in
        --out=*) folder=${argument#--out=} ;;
        -h | --help) exec .venv/bin/napari-unet demo --help ;;
    esac
    previous=$argument
done

has_display() {
    if [ "$(uname)" = Darwin ]; then
        [ -z "${SSH_CONNECTION:-}" ]
    else
        [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]
    fi
}

.venv/bin/napari-unet demo "$@"
if has_display && scripts/system_libraries.sh; then
    echo "Opening napari with an image that the model was not trained on, segmented and scored."
    exec .venv/bin/python -m napari_unet.gui.demo "$folder"
fi
