"""How quick is prediction, and how much memory does it need?

    python benchmarks/prediction_speed.py             throughput of the network
    python benchmarks/prediction_speed.py --memory    peak memory by image size as well
    python benchmarks/prediction_speed.py --memory --sizes 1024x1024 8192x8192

Throughput is that of the network over one block as prediction runs it, in floating-point
operations per second, as a share of this machine's own matrix product (2048 x 2048) in the same
precision; the two take turns. Memory is the peak of anonymous memory (the pages of the
memory-mapped file, which the system can drop at any time, are not counted) of a process of its
own per image.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_unet.core.allocator import keeping_freed_memory
from napari_unet.core.blocks import BlockNetwork
from napari_unet.core.config import Budget, TrainingSettings, UNetConfig
from napari_unet.core.datasets import pairs_from_arrays
from napari_unet.core.device import choose_compute
from napari_unet.core.files import read_image
from napari_unet.core.model_file import Model, ModelInfo, load_model
from napari_unet.core.normalization import Normalization
from napari_unet.core.prediction import predict
from napari_unet.core.synthetic import synthetic_dataset, synthetic_nuclei
from napari_unet.core.tasks import Instances
from napari_unet.core.training import train
from napari_unet.core.unet import UNet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--sizes", nargs="*", default=["1024x1024", "8192x8192", "32768x8192"])
    parser.add_argument("--base-channels", type=int, nargs="*", default=[16, 32])
    parser.add_argument("--block", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", type=Path, help="default: one trained for a minute")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(predict_one(options.model, options.one, options.block)))
        return
    with keeping_freed_memory():  # as `predict` does
        throughput(options.base_channels, options.rounds)
    if options.memory:
        with tempfile.TemporaryDirectory() as folder:
            path = options.model or train_briefly(Path(folder))
            memory(path, options.sizes, options.block)


def model(base_channels: int) -> Model:
    torch.manual_seed(0)
    task = Instances()
    unet = UNetConfig(out_channels=4, base_channels=base_channels)
    info = ModelInfo(unet=unet, task=task, normalization=Normalization())
    return Model(info, UNet(unet).state_dict())


def throughput(base_channels: list[int], rounds: int) -> None:
    compute = choose_compute()
    dtype = getattr(torch, compute.precision)
    size = 2048
    a, b = (torch.randn(size, size, dtype=dtype, device=compute.device) for _ in range(2))
    image = np.random.default_rng(0).random((1, 512, 512), np.float32)
    print(f"{torch.get_num_threads()} threads, {compute.device}, {compute.precision}, 512 x 512")
    print(f"{'base':>5}{'ms':>8}{'GFLOP/s':>10}{'matrix product':>16}{'share':>8}")
    for base in base_channels:
        made = model(base)
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            made.network()(torch.from_numpy(image)[None])
        operations = counter.get_total_flops()
        network = BlockNetwork(made, compute)
        network(image)
        rates, peaks, seconds = [], [], []
        for _ in range(rounds):
            start = time.perf_counter()
            for _ in range(3):
                a @ b
            peaks.append(3 * 2 * size**3 / (time.perf_counter() - start))
            start = time.perf_counter()
            network(image)
            seconds.append(time.perf_counter() - start)
            rates.append(operations / seconds[-1])
        share = statistics.median(r / p for r, p in zip(rates, peaks, strict=True))
        rate, peak = statistics.median(rates) / 1e9, statistics.median(peaks) / 1e9
        print(
            f"{base:5}{1e3 * statistics.median(seconds):8.0f}{rate:10.0f}{peak:16.0f}{share:8.0%}"
        )


def memory(model_path: Path, sizes: list[str], block: int) -> None:
    print(f"{'image':>14}{'seconds':>9}{'s/megapixel':>13}{'objects':>9}{'anonymous peak':>16}")
    tile, _ = synthetic_nuclei(shape=(1024, 1024), n=300, seed=1)
    for size in sizes:
        height, width = (int(n) for n in size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "image.npy"
            mapped = np.lib.format.open_memmap(path, "w+", tile.dtype, (height, width))
            for y in range(0, height, 1024):
                for x in range(0, width, 1024):
                    part = tile[: height - y, : width - x]
                    mapped[y : y + 1024, x : x + 1024] = part
            del mapped
            command = [sys.executable, __file__, "--one", path, "--block", str(block)]
            command += ["--model", model_path]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            result = json.loads(done.stdout)
        megapixels = height * width / 1e6
        print(
            f"{size:>14}{result['seconds']:9.1f}{result['seconds'] / megapixels:13.2f}"
            f"{result['objects']:9}{result['peak_gb']:13.2f} GB",
            flush=True,
        )


def predict_one(model_path: Path, path: Path, block: int) -> dict[str, float]:
    """Predict a memory-mapped image; runs in a process of its own."""
    done = threading.Event()
    peaks = [0.0]

    def watch() -> None:
        while not done.wait(0.02):
            peaks.append(anonymous_gb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        image = read_image(path, axes="YX", lazy=True)
        result = predict(load_model(model_path), image, block_px=block, folder=Path(folder))
        seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return {"seconds": seconds, "objects": len(result.confidence) - 1, "peak_gb": max(peaks)}


def train_briefly(folder: Path) -> Path:
    """Train on synthetic nuclei until there are objects to decode."""
    images, labels = zip(*synthetic_dataset(8, shape=(256, 256), seed=0), strict=True)
    settings = TrainingSettings(
        budget=Budget(steps=150), batch_size=4, patch_px=128, validation_fraction=0
    )
    for _ in train(pairs_from_arrays(images, labels), Instances(), folder / "run", settings):
        pass
    return folder / "run" / "last.safetensors"


def anonymous_gb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1e6
    return 0.0


if __name__ == "__main__":
    main()
