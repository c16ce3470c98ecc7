"""Device and precision: the available choices, and the errors of devices."""

import pytest
import torch

from napari_unet.core.errors import DeviceError
from napari_unet.core.system.device import Compute, choose_compute, translated_errors

CPU = Compute(torch.device("cpu"), "float32")


@pytest.mark.parametrize(
    ("device", "precision", "sentence"),
    [
        ("cpu", "float8", "expected auto, float32, bfloat16, float16"),
        ("cpu", "float16", "it needs a CUDA device. Choose auto"),
        ("abacus", "auto", "is not available: this computer has"),
        ("cpu:x", "auto", "expected auto, cpu, cuda"),
    ],
)
def test_what_cannot_be_chosen_is_a_sentence(device: str, precision: str, sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence):
        choose_compute(device, precision)


def test_a_choice_is_kept_and_auto_always_finds_one() -> None:
    assert choose_compute("cpu", "bfloat16") == Compute(torch.device("cpu"), "bfloat16")
    assert choose_compute("auto", "float32").device.type in ("cuda", "mps", "cpu")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "The memory of cpu is full. Use less."),
        (MemoryError(), "This computer's memory is full. Use less."),
        (RuntimeError("cuDNN error: NOT_SUPPORTED\nat line 5"), "cpu reports: cuDNN error"),
    ],
)
def test_errors_of_the_device_become_sentences_without_torch(error, sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence) as caught, translated_errors(CPU, "Use less."):
        raise error
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "line 5" not in str(caught.value)


def test_mistakes_of_the_program_are_not_blamed_on_the_device() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"), translated_errors(CPU, "Use less."):
        raise RuntimeError("size mismatch")


def test_weights_and_batches_get_the_chosen_precision() -> None:
    compute = Compute(torch.device("cpu"), "bfloat16")
    net = compute.place_network(compute.lowered_network(torch.nn.Conv2d(1, 2, 3)))
    batch = compute.to_inference_dtype(compute.place(torch.ones(1, 1, 5, 5)))
    assert {p.dtype for p in net.parameters()} == {torch.bfloat16}
    assert net(batch).dtype == torch.bfloat16
