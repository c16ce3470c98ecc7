"""Start the installed napari, list what it shows of the plugin, and fail if anything is missing.

Use it in a clean environment with only the built wheel: `pip install "napari-unet-live[all]"`.
"""

import sys

import napari
from napari._app_model import get_app_model

PLUGIN = "napari-unet-live"
WIDGETS = ["Train", "Predict", "Evaluate"]
EXPECTED = {
    "napari/layers/annotate": ["Train (U-Net live)"],
    "napari/layers/segment": ["Train (U-Net live)", "Predict (U-Net live)"],
    "napari/layers/measure": ["Evaluate (U-Net live)"],
    f"napari/plugins/{PLUGIN}": [f"{name} (U-Net live)" for name in WIDGETS],
    f"napari/file/samples/{PLUGIN}": ["Synthetic nuclei", "Immunohistochemistry (RGB)"],
}


def main() -> int:
    import napari_unet

    print(
        f"napari {napari.__version__}, {PLUGIN} {napari_unet.__version__}, {napari_unet.__file__}"
    )
    viewer = napari.Viewer()
    missing = []
    for menu, expected in EXPECTED.items():
        items = get_app_model().menus.get_menu(menu)
        titles = [getattr(item, "title", None) or item.command.title for item in items]
        print(f"{menu}: {', '.join(t for t in titles if t != 'Empty')}")
        missing += [f"{menu}: {title}" for title in expected if title not in titles]
    layers = viewer.open_sample(PLUGIN, "synthetic")
    print("sample:", ", ".join(f"{layer.name} {layer.data.shape}" for layer in layers))
    for name in WIDGETS:
        _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, name)
        print(f"widget: {name}: {type(widget).__module__}.{type(widget).__name__}")
    if "torch" in sys.modules:
        missing.append("napari's process imported torch")
    viewer.close()
    print("\n".join(f"Missing: {what}" for what in missing) or "Complete.")
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
