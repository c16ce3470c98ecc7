"""The schedule of the learning rate and of previews."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.training import training_loop
from napari_unet.core.training.training_loop import Preview, _schedule


@given(st.floats(0.001, 0.5), st.floats(0, 2))
def test_the_rate_is_a_positive_share_until_the_end(warmup: float, progress: float) -> None:
    assert 0 <= _schedule(progress, warmup) <= 1
    assert _schedule(warmup, warmup) == pytest.approx(1)
    assert _schedule(1 + progress, warmup) == pytest.approx(0)


def test_the_rate_rises_and_then_falls() -> None:
    rates = [_schedule(i / 100, 0.1) for i in range(101)]
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_preview_is_due_some_time_after_the_last_was_shown(monkeypatch) -> None:
    now = 100.0
    monkeypatch.setattr(training_loop.time, "monotonic", lambda: now)
    shown = []
    preview = Preview(lambda model, step: shown.append((model, step)), every_s=2)
    assert not preview.due
    now = 102.0
    assert preview.due
    preview(lambda: "model", 7)
    assert shown == [("model", 7)]
    assert not preview.due
    assert not Preview(None, every_s=0).due
