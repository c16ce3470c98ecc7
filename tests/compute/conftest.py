"""Small data, and a network trained once for all tests of the engine."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from napari_unet import Budget, Image, Instances, Pair, TrainingSettings
from napari_unet.compute import Engine, TrainRequest
from napari_unet.core.training.events import Finished


@dataclass(frozen=True)
class Small:
    """An image with two objects, and settings that train a network in one second."""

    pair: Pair
    image: Image
    settings: TrainingSettings

    def request(self, folder: Path, **changes: object) -> TrainRequest:
        budget = {k: v for k, v in changes.items() if k in ("steps", "minutes", "epochs")}
        settings = self.settings
        if budget:
            settings = settings.model_copy(update={"budget": Budget(**budget)})
        others = {k: v for k, v in changes.items() if k not in budget}
        return TrainRequest(
            **{"pairs": (self.pair,), "task": Instances(), "run_folder": folder}
            | {"settings": settings}
            | others
        )


@pytest.fixture(scope="session")
def small() -> Small:
    rng = np.random.default_rng(1)
    labels = np.zeros((96, 96), np.uint16)
    labels[10:40, 12:44], labels[50:86, 40:80] = 1, 2
    pixels = (rng.normal(100, 10, labels.shape) + 300 * (labels > 0)).astype(np.uint16)
    image = Image(pixels, "YX", name="squares")
    settings = TrainingSettings(
        budget=Budget(steps=30),
        depth=2,
        base_channels=4,
        patch_px=32,
        batch_size=2,
        epoch_steps=10,
        learning_rate=0.01,
        validation_fraction=0,
        device="cpu",
        precision="float32",
    )
    return Small(Pair(image, labels), image, settings)


@pytest.fixture(scope="session")
def trained(engine: Engine, small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model file of a finished run."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    finished = engine.submit(small.request(folder, steps=100)).wait(50)
    assert isinstance(finished, Finished)
    return Path(finished.last_model)
