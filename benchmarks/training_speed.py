"""Measure training speed: steps per second of the real loop and of a plain one.

    python benchmarks/training_speed.py [--rounds 5] [--steps 10] [--threads N]

Three loops over the same network (16 base channels, depth 4, batches of 4 patches of 192 x 192)
take turns:

real      `napari_unet.train`, including cutting, augmenting and encoding patches, with the
          precision and memory layout chosen for this processor
network   forward pass, loss, backward pass and optimizer of the real loop on one prepared batch
plain     the same network in float32, contiguous (NCHW), on one prepared batch: a textbook loop

The share of the real loop outside the network is 1 - real/network in steps per second. The ratio
real/plain depends on the processor: with bfloat16 arithmetic (AVX-512 BF16, AMX) the real loop uses
it; otherwise both compute in float32 and the ratio is about 1.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

import torch

from napari_unet.core.datasets.pairs import pairs_from_arrays
from napari_unet.core.datasets.synthetic import synthetic_dataset
from napari_unet.core.models.unet import UNet
from napari_unet.core.system.device import Compute
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.training.events import StepDone
from napari_unet.core.training.sampling import Batch, PatchSampler, normalized
from napari_unet.core.training.settings import Budget, TrainingSettings
from napari_unet.core.training.training import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="steps per loop and round")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    images, labels = zip(*synthetic_dataset(12, shape=(512, 512), n=(60, 100), seed=0), strict=True)
    pairs = pairs_from_arrays(images, labels)
    settings = TrainingSettings(budget=Budget(steps=100_000), epoch_steps=100_000)
    task = Instances()

    with tempfile.TemporaryDirectory() as folder:
        real, compute, unet = real_loop(pairs, task, settings, folder)
        planes = normalized([p for pair in pairs for p in pair.planes()], settings.normalization)
        batch = PatchSampler(planes, task, settings).batch(0)
        loops = {
            "real": real,
            "network": ready_made(UNet(unet), task, settings, batch, compute),
            "plain": plain(UNet(unet), task, settings, batch),
        }
        print(
            f"{torch.get_num_threads()} threads, torch {torch.__version__}, capability "
            f"{torch.backends.cpu.get_cpu_capability()}, real loop in {compute.precision}"
        )
        report(run(loops, options.rounds, options.steps))


def real_loop(pairs, task, settings, folder) -> tuple[Callable[[], None], Compute, object]:
    """Return the real training loop as a function that makes one step."""
    events: Iterator = train(pairs, task, f"{folder}/run", settings)
    started = next(events)
    compute = Compute(torch.device(started.device), started.precision)
    from napari_unet.core.training.run_folder import RunFolder

    unet = RunFolder(f"{folder}/run").settings().info.unet

    def step() -> None:
        while not isinstance(next(events), StepDone):
            pass

    return step, compute, unet


def ready_made(net, task, settings, batch: Batch, compute: Compute) -> Callable[[], None]:
    """Return the real loop's forward pass, loss, backward pass, optimizer and averaging."""
    net = compute.place_network(net).train()
    average = torch.optim.swa_utils.AveragedModel(
        net,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average_decay),
        use_buffers=True,
    )
    x = compute.place(torch.from_numpy(batch.images))
    y, w = (compute.move(torch.from_numpy(a)) for a in (batch.targets, batch.weight))
    update = updater(net, task, settings, foreach=True)

    def step() -> None:
        with compute.autocast():
            logits = net(x)
        update(logits.float().contiguous(), y, w)
        average.update_parameters(net)

    return step


def plain(net, task, settings, batch: Batch) -> Callable[[], None]:
    """Return the textbook loop: float32, contiguous."""
    x, y, w = (torch.from_numpy(a) for a in (batch.images, batch.targets, batch.weight))
    update = updater(net.train(), task, settings)
    return lambda: update(net(x), y, w)


def updater(net, task, settings, foreach: bool | None = None) -> Callable[..., None]:
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=1e-4, weight_decay=settings.weight_decay, foreach=foreach
    )
    loss_of = task.loss()

    def update(logits, y, w) -> None:
        loss = loss_of(logits, y, w)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), settings.gradient_clip)
        optimizer.step()

    return update


def run(loops: dict[str, Callable[[], None]], rounds: int, steps: int) -> dict[str, list[float]]:
    """Measure the seconds per step of each loop in each round; the loops take turns."""
    for step in loops.values():
        for _ in range(3):
            step()
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, step in loops.items():
            start = time.perf_counter()
            for _ in range(steps):
                step()
            times[name].append((time.perf_counter() - start) / steps)
    return times


def report(times: dict[str, list[float]]) -> None:
    print(f"{'loop':10}{'ms/step':>10}{'steps/s':>10}")
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name:10}{1e3 * middle:10.0f}{1 / middle:10.2f}")
    pairs = list(zip(times["real"], times["network"], times["plain"], strict=True))
    ratio = statistics.median(p / r for r, _, p in pairs)
    share = statistics.median(1 - n / r for r, n, _ in pairs)
    print(f"real / plain: {ratio:.2f}   share outside the network: {share:.1%}")


if __name__ == "__main__":
    main()
