"""A task that comes from another process can be written into a header at once."""

import pickle
import subprocess
import sys

from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import ModelInfo
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances

SCRIPT = """
import pickle, sys
info = pickle.load(sys.stdin.buffer)
print(info.model_copy(update={"name": "copy"}).model_dump_json())
"""


def test_a_header_from_another_process_can_be_written() -> None:
    task = Instances(object_name="cell")
    info = ModelInfo(unet=UNetConfig(), task=task, normalization=Normalization())
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=pickle.dumps(info), capture_output=True, timeout=120
    )
    assert not done.returncode, done.stderr.decode()
    assert ModelInfo.model_validate_json(done.stdout).task == task
