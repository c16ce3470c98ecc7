"""What learns: the average of its weights follows early, so that short trainings are of use."""

import numpy as np

from napari_unet.core.config import TrainingSettings, UNetConfig
from napari_unet.core.device import choose_compute
from napari_unet.core.learner import Learner
from napari_unet.core.model_file import ModelInfo
from napari_unet.core.normalization import Normalization
from napari_unet.core.sampling import Batch
from napari_unet.core.tasks import ClassInfo, Semantic

CLASSES = (ClassInfo(id=0, name="background", background=True), ClassInfo(id=1, name="cell"))


def flat(weights) -> np.ndarray:
    return np.concatenate([np.ravel(w) for k, w in sorted(weights.items()) if "weight" in k])


def test_after_thirty_steps_little_is_left_of_the_first_weights(rng) -> None:
    unet = UNetConfig(depth=1, base_channels=2, out_channels=1)
    info = ModelInfo(unet=unet, task=Semantic(classes=CLASSES), normalization=Normalization())
    learner = Learner(info, TrainingSettings(average_decay=0.99), choose_compute("cpu", "float32"))
    start = flat(learner.weights())
    images = rng.normal(size=(2, 1, 16, 16)).astype(np.float32)
    targets = (images > 0).astype(np.float32)
    batch = Batch(images, targets, np.ones_like(targets))
    for step in range(30):
        learner.learn(batch, step, 1e-3)
    tensors, _ = learner.state()
    now = flat({k: w for k, w in tensors.items() if k.startswith("net/")})
    way = np.linalg.norm(now - start)
    assert way > 0
    # With the full decay from the first step on, the average would have gone a seventh of the way.
    assert np.linalg.norm(flat(learner.weights()) - now) < 0.3 * way
