"""Each kind of model is exported once for all tests that need its package."""

import gc

import pytest
from packages import MODELS, random_model

from napari_unet.core.bioimage_io.export import export_bioimage_io
from napari_unet.core.models.model_file import save_model


@pytest.fixture(scope="module")
def quick_garbage_collection():
    """Exempt the objects of earlier tests from bioimageio.core's collection of garbage."""
    import bioimageio.core  # noqa: F401

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def exported(tmp_path_factory, adopting):
    """Return a function that exports a kind of model, once, and returns model and package."""
    made = {}

    def export(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp("exported")
            model = random_model(**MODELS[kind])
            save_model(folder / "model.safetensors", model)
            with adopting():  # torch keeps a temporary folder
                package = export_bioimage_io(folder / "model.safetensors", folder / "package.zip")
            made[kind] = model, package
            gc.freeze()
        return made[kind]

    return export
