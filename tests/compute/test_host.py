"""The compute process: access to it, its end, and files or processes left behind."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from distributed import Client, Security

from napari_unet.compute import ComputeError, Engine, EvaluateRequest, WorkerLost
from napari_unet.core.errors import Cancelled
from napari_unet.core.training.events import CheckpointSaved, FinishReason, StepDone

# Other tests compute at the same time; these tests must not wait for all of them.
ALONE = {"OMP_NUM_THREADS": "1", "NAPARI_UNET_NICE": "0"}

# Each test starts processes with slow imports, on a machine that may be busy.
pytestmark = pytest.mark.timeout(150)
posix = pytest.mark.skipif(os.name != "posix", reason="signals and priorities of POSIX")


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition stayed false"
        time.sleep(0.01)


def evaluation() -> EvaluateRequest:
    labels = np.eye(16, dtype=np.uint8)
    return EvaluateRequest(labels, labels)


def has_ended(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


@posix
@pytest.mark.leaves_behind("the new process of the shared engine")
def test_a_killed_worker_is_reported_and_the_next_job_works(engine, small, tmp_path) -> None:
    states: list[str] = []
    engine.on_state(lambda state, sentence: states.append(state))
    job = engine.submit(small.request(tmp_path / "run", steps=50_000))
    events: list[object] = []
    job.on_event(events.append)
    wait_for(lambda: any(isinstance(e, CheckpointSaved) for e in events), 60)
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost, match=r"killed.*saved up to its last checkpoint.*Resume it"):
        job.wait(10)
    assert engine.state == "lost"
    assert engine.submit(evaluation()).wait(30).report.images
    assert states[-2:] == ["starting", "ready"]
    assert (tmp_path / "run" / "state.safetensors").is_file()


@posix
@pytest.mark.leaves_behind("the new process of the shared engine")
def test_an_idle_worker_that_is_killed_is_replaced(engine) -> None:
    engine.submit(evaluation()).wait(30)
    os.kill(engine.pid, signal.SIGKILL)
    wait_for(lambda: engine.state == "lost", 10)
    assert engine.submit(evaluation()).wait(30).report.images


def test_close_saves_running_training(small, tmp_path) -> None:
    engine = Engine(environment=ALONE)
    job = engine.submit(small.request(tmp_path / "run", steps=50_000))
    events: list[object] = []
    job.on_event(events.append)
    wait_for(lambda: any(isinstance(e, StepDone) for e in events))
    pid = engine.pid
    engine.close(20)
    assert job.wait(0).reason is FinishReason.STOPPED
    assert (tmp_path / "run" / "state.safetensors").is_file()
    assert has_ended(pid)
    with pytest.raises(Cancelled):
        engine.submit(evaluation()).wait(5)


@posix
def test_a_killed_parent_leaves_no_process_and_a_saved_run(small, tmp_path) -> None:
    script = f"""
        import time
        from pathlib import Path
        from napari_unet import *
        from napari_unet.compute import Engine, TrainRequest
        import numpy as np
        labels = np.zeros((96, 96), np.uint8)
        labels[10:40, 12:44] = 1
        settings = TrainingSettings(**{small.settings.model_dump(exclude={"budget"})!r})
        settings = settings.model_copy(update=dict(budget=Budget(steps=50000)))
        engine = Engine(environment={ALONE!r})
        pair = Pair(Image(labels * 100, "YX"), labels)
        run = Path({str(tmp_path / "run")!r})
        job = engine.submit(TrainRequest((pair,), Instances(), run, settings))
        job.on_event(lambda event: print(engine.pid, type(event).__name__, flush=True))
        time.sleep(60)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        line = next(line for line in parent.stdout if "StepDone" in line)
        parent.kill()
    pid = int(line.split()[0])
    wait_for(lambda: has_ended(pid), 15)
    assert (tmp_path / "run" / "state.safetensors").is_file()


def address_of(engine: Engine) -> str:
    engine.submit(evaluation()).wait(100)  # a process of low priority may have to wait
    return engine._connection._client.scheduler.address


@pytest.mark.parametrize("certificate", ["none", "another", "none, no encryption"])
def test_a_client_with_other_certificates_is_refused(engine, certificate) -> None:
    address = address_of(engine)
    if certificate == "none, no encryption":
        security, address = None, address.replace("tls://", "tcp://")
    elif certificate == "none":
        security = Security(tls_ca_file=engine._connection._client.security.tls_ca_file)
    else:
        security = Security.temporary()

    async def enter() -> None:
        options = {"timeout": 3, "set_as_default": False, "asynchronous": True}
        client = Client(address, security=security, **options)
        try:
            await client
        finally:
            await client.close()

    with pytest.raises((OSError, TypeError, RuntimeError)):
        asyncio.run(enter())
    assert engine.submit(evaluation()).wait(30).report.images  # the engine still works


def test_only_this_computer_can_connect_and_no_web_server_runs(engine) -> None:
    address_of(engine)
    listening = [
        c.laddr
        for c in psutil.Process(engine.pid).net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    ]
    assert {place.ip for place in listening} == {"127.0.0.1"}
    assert len(listening) == 2  # the scheduler's and the worker's
    for place in listening:
        with socket.create_connection(tuple(place), timeout=5) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in plain.recv(100)


def test_the_command_line_contains_no_secrets(engine) -> None:
    address_of(engine)
    process = psutil.Process(engine.pid)
    assert "BEGIN" not in " ".join(process.cmdline())
    assert not any("BEGIN" in value for value in process.environ().values())


@posix
def test_napari_has_priority(monkeypatch) -> None:
    monkeypatch.delenv("NAPARI_UNET_NICE", raising=False)
    with Engine() as engine:
        address_of(engine)
        assert psutil.Process(engine.pid).nice() > psutil.Process().nice()
        if sys.platform == "linux":
            assert os.sched_getscheduler(engine.pid) == os.SCHED_IDLE
        with contextlib.suppress(FileNotFoundError):
            assert int(Path(f"/proc/{engine.pid}/oom_score_adj").read_text()) >= 500
        with contextlib.suppress(FileNotFoundError):
            # "/autogroup-42 nice 10"
            assert int(Path(f"/proc/{engine.pid}/autogroup").read_text().split()[-1]) > 0


def test_an_idle_process_uses_almost_no_cpu_time(engine) -> None:
    engine.submit(evaluation()).wait(100)
    process = psutil.Process(engine.pid)
    time.sleep(0.5)
    before = process.cpu_times()
    time.sleep(2)
    after = process.cpu_times()
    seconds = after.user + after.system - before.user - before.system
    assert seconds < 0.06  # of 2 s; with dask's default monitoring, 0.12 to 0.2


@pytest.mark.leaves_behind("the log named in the message")
def test_a_process_that_does_not_start_reports_its_log(tmp_path) -> None:
    (tmp_path / "distributed.py").write_text("raise ImportError('not here')")
    with Engine(environment={"PYTHONPATH": str(tmp_path)}) as engine:
        with pytest.raises(ComputeError, match=r"did not start.*worker\.log"):
            engine.submit(evaluation()).wait(30)
        assert engine.state == "lost"


def test_large_standard_output_and_error_block_nothing(engine) -> None:
    import dask.array as da

    def print_much(block: np.ndarray) -> np.ndarray:
        print("x" * 300_000)
        sys.stderr.write("y" * 300_000)
        return block

    truth = np.eye(16, dtype=np.uint8)
    labels = da.from_array(truth).map_blocks(print_much, meta=truth[:0, :0])
    assert engine.submit(EvaluateRequest(labels, truth)).wait(30).report.images


def used() -> tuple[int, int, float]:
    """Return the number of threads and child processes, and the memory in MiB of this process."""
    gc.collect()
    process = psutil.Process()
    return threading.active_count(), len(process.children()), process.memory_info().rss / 2**20


def test_starting_and_stopping_leaves_nothing_behind() -> None:
    cycles = int(os.environ.get("ENGINE_CYCLES", "3"))
    sizes = []
    for _ in range(cycles):
        with Engine(environment=ALONE) as engine:
            engine.submit(evaluation()).wait(30)
        time.sleep(0.1)
        sizes.append(used())
        print(*sizes[-1])
    first, last = sizes[1], sizes[-1]  # the first start imports modules
    assert last[0] <= first[0]
    assert last[1] <= first[1]
    assert last[2] <= 1.05 * first[2]
