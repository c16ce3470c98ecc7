"""Measure the speed and memory use of prediction.

    python benchmarks/prediction_speed.py             throughput of the network
    python benchmarks/prediction_speed.py --memory    peak memory by image size as well
    python benchmarks/prediction_speed.py --memory --sizes 1024x1024 8192x8192
    python benchmarks/prediction_speed.py --files dsb2018/train/images

Throughput is the speed of the network on one block, as in a prediction, in floating-point
operations per second, and as a share of a matrix product (2048 x 2048) on this machine in the same
precision. Both are measured in turn. Memory is the peak of anonymous memory of a separate process
per image, without the pages of the memory-mapped file, which the system can drop at any time. With
files, the seconds per megapixel cover everything on one thread: reading, normalisation, network,
decoding, measurement and writing.
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

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.io.image_files import read_image
from napari_unet.core.models.blocks import BlockNetwork
from napari_unet.core.models.catalogue import DEFAULT_MODEL, find_model
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import load_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.prediction.batch import BatchOptions, predict_files
from napari_unet.core.prediction.batch_inputs import find_inputs
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.system.allocator import keeping_freed_memory
from napari_unet.core.system.device import choose_compute
from napari_unet.core.tasks.instances import Instances


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--sizes", nargs="*", default=["1024x1024", "8192x8192", "32768x8192"])
    parser.add_argument("--base-channels", type=int, nargs="*", default=[16, 32])
    parser.add_argument("--block", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model for --memory and --files")
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="predict these files instead")
    parser.add_argument("--most", type=int, default=50, help="largest number of files")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(predict_one(options.model, options.one, options.block)))
        return
    if options.files:
        whole(options.model, options.files, options.most)
        return
    with keeping_freed_memory():  # as `predict` does
        throughput(options.base_channels, options.rounds)
    if options.memory:
        memory(options.model, options.sizes, options.block)


def model(base_channels: int) -> Model:
    torch.manual_seed(0)
    task = Instances()
    unet = UNetConfig(out_channels=4, base_channels=base_channels)
    info = ModelInfo(unet=unet, task=task, normalization=Normalization())
    return Model(info, UNet(unet).state_dict())


def throughput(base_channels: list[int], rounds: int) -> None:
    compute = choose_compute()
    dtype = getattr(torch, compute.precision)
    size, in_turn = 2048, 4
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
            for _ in range(in_turn):
                a @ b
            peaks.append(in_turn * 2 * size**3 / (time.perf_counter() - start))
            start = time.perf_counter()
            for _ in range(in_turn):
                network(image)
            seconds.append((time.perf_counter() - start) / in_turn)
            rates.append(operations / seconds[-1])
        share = statistics.median(r / p for r, p in zip(rates, peaks, strict=True))
        rate, peak = statistics.median(rates) / 1e9, statistics.median(peaks) / 1e9
        print(
            f"{base:5}{1e3 * statistics.median(seconds):8.0f}{rate:10.0f}{peak:16.0f}{share:8.0%}"
        )


def memory(model_name: str, sizes: list[str], block: int) -> None:
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
            command += ["--model", model_name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            result = json.loads(done.stdout)
        megapixels = height * width / 1e6
        print(
            f"{size:>14}{result['seconds']:9.1f}{result['seconds'] / megapixels:13.2f}"
            f"{result['objects']:9}{result['peak_gb']:13.2f} GB",
            flush=True,
        )


def predict_one(model_name: str, path: Path, block: int) -> dict[str, float]:
    """Predict a memory-mapped image; runs in a separate process."""
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
        result = predict(
            load_model(find_model(model_name)),
            image,
            PredictOptions(block_px=block),
            folder=Path(folder),
        )
        seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return {"seconds": seconds, "objects": len(result.confidence) - 1, "peak_gb": max(peaks)}


def whole(model_name: str, source: Path, most: int) -> None:
    """Time everything that `napari-unet predict` does with files, on one thread."""
    torch.set_num_threads(1)
    model = load_model(find_model(model_name))
    files = find_inputs([source]).files
    files = files[:: max(1, len(files) // most)][:most]
    pixels = sum(np.prod(read_image(file.path).label_shape) for file in files)
    with tempfile.TemporaryDirectory() as folder:
        options = BatchOptions(folder=Path(folder) / "warm")
        list(predict_files(model, files[:1], options))
        start = time.perf_counter()
        list(predict_files(model, files, BatchOptions(folder=Path(folder) / "timed")))
        seconds = time.perf_counter() - start
    print(
        f"{len(files)} files of {pixels / len(files) / 1e6:.3f} megapixels on average, one thread"
    )
    print(f"{seconds / pixels * 1e6:.2f} s per megapixel, {seconds / len(files):.3f} s per file")


def anonymous_gb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1e6
    return 0.0


if __name__ == "__main__":
    main()
