import threading

import numpy as np
import pytest

from napari_unet.compute import Ended, Job, Preview, Progress
from napari_unet.core.errors import Cancelled
from napari_unet.core.training.events import CheckpointSaved, StepDone


def steps(*numbers: int) -> list[StepDone]:
    return [StepDone(n, 0.1, 0.1, 0.1, 1.0) for n in numbers]


def job() -> Job:
    return Job(None, lambda job: None)


def test_events_arrive_in_order_and_none_after_the_last() -> None:
    one, received = job(), []
    one.on_event(received.append)
    events = [*steps(1, 2), CheckpointSaved(2, "run"), Ended(1, None)]
    for event in [*events, Progress(1, 1), Ended(2, None)]:
        one.post(event)
    assert received == events
    assert one.wait() == 1


def test_a_late_listener_receives_the_last_step_and_preview_and_all_other_events() -> None:
    one, received = job(), []
    pictures = [Preview(np.full((2, 2), i), i) for i in range(3)]
    for step, picture in zip(steps(1, 2, 3), pictures, strict=True):
        one.post(step)
        one.post(CheckpointSaved(step.step, "run"))
        one.post(picture)
    one.on_event(received.append)
    one.post(Ended(None, None))
    saved = [CheckpointSaved(i, "run") for i in (1, 2, 3)]
    assert received == [*saved[:2], *steps(3), saved[2], pictures[2], Ended(None, None)]


def test_a_failing_listener_does_not_affect_others(caplog) -> None:
    one, received = job(), []
    one.on_event(lambda event: 1 / 0)
    one.on_event(received.append)
    one.post(Ended(3, None))
    assert received == [Ended(3, None)]
    assert "ZeroDivisionError" in caplog.text


def test_waiting_raises_the_error_of_the_job() -> None:
    one = job()
    threading.Timer(0.05, one.post, [Ended(None, Cancelled("stopped"))]).start()
    with pytest.raises(Cancelled, match="stopped"):
        one.wait(5)
    assert one.status == "failed"
    with pytest.raises(TimeoutError, match="0"):
        job().wait(0)


def test_a_job_is_stopped_once_and_not_after_its_end() -> None:
    stopped = []
    one = Job(None, stopped.append)
    one.stop()
    one.stop()
    assert one.status == "stopping"
    one.post(Ended(1, None))
    one.stop()
    assert stopped == [one]
    assert one.status == "done"
