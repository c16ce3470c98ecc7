"""The learner: the average of its weights follows early, so that short trainings are useful."""

import numpy as np
import pytest

from napari_unet.core.errors import DeviceError
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.system.device import Compute, choose_compute
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.core.training.learner import Learner
from napari_unet.core.training.sampling import Batch
from napari_unet.core.training.settings import TrainingSettings

CLASSES = (ClassInfo(id=0, name="background", background=True), ClassInfo(id=1, name="cell"))
INFO = ModelInfo(
    unet=UNetConfig(depth=1, base_channels=2, out_channels=1),
    task=Semantic(classes=CLASSES),
    normalization=Normalization(),
)


def flat(weights) -> np.ndarray:
    return np.concatenate([np.ravel(w) for k, w in sorted(weights.items()) if "weight" in k])


def learner(anchor_strength: float = 0.0, decay: float = 0.99) -> Learner:
    compute = choose_compute("cpu", "float32")
    return Learner(INFO, TrainingSettings(average_decay=decay), compute, anchor_strength)


def batch_of(rng) -> Batch:
    images = rng.normal(size=(2, 1, 16, 16)).astype(np.float32)
    targets = (images > 0).astype(np.float32)
    return Batch(images, targets, np.ones_like(targets))


def test_after_thirty_steps_little_is_left_of_the_first_weights(rng) -> None:
    learning = learner()
    start, batch = flat(learning.weights()), batch_of(rng)
    for step in range(30):
        learning.learn(batch, step, 1e-3)
    tensors, _ = learning.state()
    now = flat({k: w for k, w in tensors.items() if k.startswith("net/")})
    way = np.linalg.norm(now - start)
    assert way > 0
    # With the full decay from the first step, the average would have moved a seventh of the way.
    assert np.linalg.norm(flat(learning.weights()) - now) < 0.3 * way


def test_an_average_follows_quickly_again_where_it_is_told_to(rng) -> None:
    def moved(learning: Learner, quickly: bool) -> float:
        """Compute the fraction of the way to the network that the average moves in a step."""
        if quickly:
            learning.follow_quickly()
        before = flat(learning.weights())
        learning.learn(batch, 200, 1e-2)
        tensors, _ = learning.state()
        now = flat({k: w for k, w in tensors.items() if k.startswith("net/")})
        return float(
            np.linalg.norm(flat(learning.weights()) - before) / np.linalg.norm(now - before)
        )

    learning, batch = learner(), batch_of(rng)
    for step in range(200):
        learning.learn(batch, step, 1e-3)
    assert moved(learning, quickly=False) == pytest.approx(9 / 210, rel=0.01)
    assert moved(learning, quickly=True) == pytest.approx(0.1, rel=0.01)


def test_a_pull_keeps_a_network_near_the_weights_it_holds_also_after_a_resume(rng) -> None:
    free, held = learner(decay=0.0), learner(anchor_strength=0.1, decay=0.0)
    start, batch = free.weights(), batch_of(rng)
    for learning in (free, held):
        learning.take(start)
        learning.anchor_to(start)
        for step in range(15):
            learning.learn(batch, step, 1e-2)
    resumed = learner(anchor_strength=0.1, decay=0.0)
    tensors, values = held.state()
    resumed.restore({k: t.clone() for k, t in tensors.items()}, values)
    for learning in (free, held, resumed):
        for step in range(15, 30):
            learning.learn(batch, step, 1e-2)

    def way(learning: Learner, part: str) -> float:
        now = learning.weights()
        names = [k for k in start if part in k and "num_batches" not in k]
        return float(sum((now[k] - start[k]).norm() for k in names))

    assert way(held, "encoder") < 0.5 * way(free, "encoder")
    assert way(held, "head") > 0.1
    assert way(held, "running") == 0 < way(free, "running")
    for name, weight in held.weights().items():
        assert weight.equal(resumed.weights()[name])


@pytest.mark.parametrize(
    "problem",
    [
        "CUDA error: out of memory",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "GET was unable to find an engine to execute this computation",
    ],
)
@pytest.mark.parametrize("place", ["place_network", "autocast"])
def test_a_device_that_fails_is_a_sentence_wherever_it_fails(monkeypatch, rng, problem, place):
    def fail(*_):
        raise RuntimeError(problem)

    if place == "place_network":
        monkeypatch.setattr(Compute, place, fail)
        with pytest.raises(DeviceError, match=r"cpu reports: .*Choose a smaller batch"):
            learner()
        return
    own = learner()
    model = Model(INFO, own.weights())
    monkeypatch.setattr(Compute, place, fail)
    with pytest.raises(DeviceError, match=r"cpu reports: .*Choose a smaller batch"):
        own.start_from(model, INFO, batch_of(rng))
