"""Choice of the device and precision to compute with, and readable device errors."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from napari_unet.core.errors import DeviceError

__all__ = ["Compute", "choose_compute", "translated_errors"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_DEVICE_WORDS = ("alloc", "cuda", "cudnn", "cublas", "mps ", "unable to find an engine")
"""Words in torch errors that come from a device; the last is cuDNN's for too little memory."""


@dataclass(frozen=True)
class Compute:
    """A device and the precision to use on it.

    Parameters
    ----------
    device
        The torch device.
    precision
        ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    """

    device: torch.device
    precision: str

    def autocast(self) -> Any:
        """Return a context in which the network computes in the chosen precision."""
        lower = self.precision != "float32"
        return torch.autocast(self.device.type, dtype=_DTYPES[self.precision], enabled=lower)

    @property
    def spares_a_core(self) -> bool:
        """Whether other work can run beside the network without slowing it down.

        If the network uses all cores, each of its operations waits for the slowest one.
        """
        linux = hasattr(os, "sched_getaffinity")
        cores = len(os.sched_getaffinity(0)) if linux else os.cpu_count() or 1
        return self.device.type != "cpu" or torch.get_num_threads() < cores

    @property
    def memory_format(self) -> torch.memory_format:
        """Memory layout of two-dimensional images: channels last."""
        return torch.channels_last

    def place(self, x: Tensor) -> Tensor:
        """Move a batch to the device, in its preferred memory layout."""
        if x.ndim == 4:
            x = x.contiguous(memory_format=self.memory_format)
        return self.move(x)

    def move(self, x: Tensor) -> Tensor:
        """Move a tensor that is not network input to the device, without changing its layout."""
        return x.to(self.device, non_blocking=True)

    def to_inference_dtype(self, x: Tensor) -> Tensor:
        """Convert a batch to the chosen precision."""
        return x.to(_DTYPES[self.precision])

    def lowered_network(self, net: torch.nn.Module) -> torch.nn.Module:
        """Convert weights to the chosen precision permanently; not for training.

        This is faster than autocast, which converts them again for each batch.
        """
        return net.to(_DTYPES[self.precision])

    def place_network(self, net: torch.nn.Module) -> torch.nn.Module:
        """Move a network to the device, in its preferred memory layout."""
        two_dimensional = any(isinstance(m, torch.nn.Conv2d) for m in net.modules())
        net = net.to(self.device)
        if two_dimensional:
            net = net.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        return net


def choose_compute(device: str = "auto", precision: str = "auto") -> Compute:
    """Choose device and precision.

    Parameters
    ----------
    device
        ``"auto"`` (CUDA, else MPS, else CPU) or a torch device name.
    precision
        ``"auto"`` (bfloat16 if it is fast, else float16 on CUDA and float32 elsewhere),
        ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Raises
    ------
    DeviceError
        If the device is not available or does not support this precision.
    """
    chosen = _device(device)
    if precision == "auto":
        return Compute(chosen, _quickest_precision(chosen.type))
    if precision not in _DTYPES:
        raise DeviceError(f"Precision {precision!r}: expected auto, {', '.join(_DTYPES)}.")
    if precision == "float16" and chosen.type != "cuda":
        raise DeviceError(
            f"Precision float16 on device {chosen.type}: it needs a CUDA device. Choose auto."
        )
    return Compute(chosen, precision)


def _device(name: str) -> torch.device:
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    kind = name.partition(":")[0]
    if not available.get(kind, False):
        there = ", ".join(k for k, v in available.items() if v)
        raise DeviceError(
            f"Device {name!r} is not available: this computer has {there}. Choose that, or auto."
        )
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"Device {name!r}: expected auto, cpu, cuda, cuda:1 or mps.") from None
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"Device {name!r}: this computer has {torch.cuda.device_count()} CUDA device(s), "
            "numbered from 0. Choose one of them, or auto."
        )
    return device


@cache
def _quickest_precision(kind: str) -> str:
    if kind == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    return "bfloat16" if kind == "cpu" and _has_quick_bfloat16() else "float32"


def _has_quick_bfloat16() -> bool:
    """Check the processor's capabilities; if torch does not report them, measure."""
    flags: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if "avx512_bf16" in flags:
        return bool(flags["avx512_bf16"] or flags.get("amx_bf16"))
    return _convolution_s(torch.bfloat16) < 0.7 * _convolution_s(torch.float32)


def _convolution_s(dtype: torch.dtype) -> float:
    """Measure the seconds of a small convolution; without bfloat16 support it is far slower."""
    x = torch.ones(1, 32, 48, 48, dtype=dtype).contiguous(memory_format=torch.channels_last)
    kernel = torch.ones(32, 32, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for _ in range(4):
            start = time.perf_counter()
            functional.conv2d(x, kernel, padding=1)
            times.append(time.perf_counter() - start)
    return min(times)


@contextlib.contextmanager
def translated_errors(compute: Compute, advice: str) -> Iterator[None]:
    """Convert errors of the device to `DeviceError`, without an attached torch error.

    Parameters
    ----------
    compute
        Device on which the code inside runs.
    advice
        What the user can do if memory is full.
    """
    problem = None
    try:
        yield
    except torch.OutOfMemoryError:
        problem = f"The memory of {compute.device} is full. {advice}"
    except MemoryError:
        problem = f"This computer's memory is full. {advice}"
    except RuntimeError as error:
        if not any(word in str(error).lower() for word in _DEVICE_WORDS):
            raise
        problem = f"{compute.device} reports: {str(error).splitlines()[0]} {advice}"
    if problem is not None:
        failure = DeviceError(problem)
        try:
            raise failure
        finally:
            failure.__context__ = None  # Python attaches the error of the caller's block
