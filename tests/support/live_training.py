"""Quick settings, classes and steps for tests of live training."""

from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

QUICK = LiveSettings(
    patch_px=64, depth=2, base_channels=8, learning_rate=5e-3, device="cpu", precision="float32"
)


REST = ClassInfo(id=1, name="rest", background=True)


NUCLEI = ClassInfo(id=2, name="nuclei")


TASK = Semantic(classes=(REST, NUCLEI), sparse=True)


def dice(training, truth, name="cells"):
    found = training.outputs(name)[1] > 0.5
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def learn(training, steps):
    return [training.step() for _ in range(steps)]
