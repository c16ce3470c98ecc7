"""The engine as used by scripts, notebooks and clusters."""

import contextlib
import gc
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from napari_unet.compute import ComputeError, Engine, EvaluateRequest, WorkerLost
from napari_unet.core.errors import Cancelled, UNetError
from napari_unet.core.training.events import StepDone

pytestmark = pytest.mark.timeout(150)

SCRIPT = """
    import sys, time
    from pathlib import Path
    import numpy as np
    from napari_unet import Budget, Image, Instances, Pair, PredictOptions, TrainingSettings
    from napari_unet.compute import *

    labels = np.zeros((64, 64), np.uint8)
    labels[10:40, 12:44] = 1
    image = Image(labels * 100, "YX")
    settings = TrainingSettings(
        budget=Budget(steps=3), depth=1, base_channels=4, patch_px=32, batch_size=1,
        validation_fraction=0, device="cpu",
    )
    engine = Engine(environment={"OMP_NUM_THREADS": "1", "NAPARI_UNET_NICE": "0"})
    run = Path(sys.argv[1])
    training = TrainRequest((Pair(image, labels),), Instances(), run, settings, preview=image)
    model = Path(engine.submit(training).wait(60).last_model)
    prediction = PredictRequest(model, image, PredictOptions(device="cpu"), keep_outputs=True)
    job = engine.submit(prediction)
    found = job.wait(60)
    engine.submit(DecodeRequest(job.id, {})).wait(60)
    engine.submit(EvaluateRequest(found.labels, labels)).wait(60)
    try:
        bad = Image(np.zeros((3, 8, 8), np.uint8), "CYX")
        engine.submit(PredictRequest(model, bad)).wait(60)
    except Exception as error:
        print(type(error).__name__)
    print("scripts run:", sys.argv[0], found.labels.shape)
    print("torch" in sys.modules, "napari" in sys.modules, "qtpy" in sys.modules)
"""


def lines_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_script_without_a_main_guard_runs_once_and_never_imports_torch(tmp_path) -> None:
    script = tmp_path / "my script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    # Next to the script, so first on its path: it must not shadow the library in the worker.
    (tmp_path / "safetensors.py").write_text("")
    command = [sys.executable, str(script), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert lines_of(done) == [
        "ModelFileError",
        f"scripts run: {script} (64, 64)",
        "False False False",
    ]
    assert not done.stderr


def test_a_notebook_with_a_running_event_loop(tmp_path) -> None:
    cell = textwrap.indent(textwrap.dedent(SCRIPT), "    ")
    code = f"import asyncio\nasync def cell():\n{cell}\nasyncio.run(cell())".replace(
        "import *", "import Engine, TrainRequest, PredictRequest, DecodeRequest, EvaluateRequest"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert lines_of(done)[-1] == "False False False"
    assert not done.stderr


def test_a_script_that_ends_during_training_leaves_a_saved_run_and_no_process(tmp_path) -> None:
    forever = textwrap.dedent(SCRIPT).split("model = ")[0].replace("steps=3)", "steps=50000)")
    forever += textwrap.dedent("""
        import threading
        stepped = threading.Event()
        job = engine.submit(training)
        job.on_event(lambda event: type(event).__name__ == "StepDone" and stepped.set())
        stepped.wait(60)
        job.on_event(lambda event: print(type(event).__name__))
        print(engine.pid)
    """)
    command = [sys.executable, "-c", forever, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = lines_of(done)
    assert lines[-2:] == ["Finished", "Ended"]
    assert not done.stderr
    assert (tmp_path / "run" / "state.safetensors").is_file()
    (pid,) = [int(line) for line in lines if line.isdecimal()]
    assert not psutil.pid_exists(pid)


def test_importing_is_light() -> None:
    code = """
        import sys, time
        import numpy
        start = time.process_time()
        import napari_unet.compute
        print(time.process_time() - start)
        heavy = {"torch", "distributed", "dask", "zarr", "matplotlib", "skimage", "asyncio"}
        print(sorted(heavy & sys.modules.keys()))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    seconds, heavy = lines_of(subprocess.run(command, capture_output=True, text=True))
    assert float(seconds) < 0.1
    assert heavy == "[]"


def test_starting_returns_immediately() -> None:
    code = """
        import time
        import napari_unet.compute
        start = time.perf_counter()
        engine = napari_unet.compute.Engine()
        engine.start()
        print(time.perf_counter() - start, engine.state)
        engine.close()
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    (line,) = lines_of(subprocess.run(command, capture_output=True, text=True))
    seconds, state = line.split()
    assert float(seconds) < 0.05
    assert state == "starting"


def evaluation() -> EvaluateRequest:
    labels = np.eye(16, dtype=np.uint8)
    return EvaluateRequest(labels, labels)


class Cluster:
    """A scheduler and workers, started in the same way as by a user."""

    def __init__(self) -> None:
        self.address = ""
        self._processes: list[subprocess.Popen[str]] = []
        scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0")
        assert scheduler.stderr is not None
        for line in scheduler.stderr:
            if "Scheduler at:" in line:
                self.address = line.split()[-1]
                break

    def add_worker(self) -> subprocess.Popen[str]:
        return self._start("worker", self.address, "--no-nanny", "--nthreads", "2")

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in reversed(self._processes):
            with process:
                process.kill()


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Iterator[Cluster]:
    monkeypatch.chdir(tmp_path)
    cluster = Cluster()
    yield cluster
    cluster.close()


def test_training_at_an_address_runs_there(cluster, small, tmp_path) -> None:
    worker = cluster.add_worker()
    with Engine(cluster.address) as engine:
        job = engine.submit(small.request(tmp_path / "run", steps=50_000, preview=small.image))
        stepped = threading.Event()
        job.on_event(lambda event: isinstance(event, StepDone) and stepped.set())
        assert stepped.wait(60)
        assert engine.pid is None
        assert engine.submit(evaluation()).wait(30).report.images  # while the training runs
        worker.kill()
        with pytest.raises(WorkerLost, match="The worker that ran this job was lost"):
            job.wait(30)
        cluster.add_worker()
        assert engine.submit(evaluation()).wait(30).report.images


def test_a_job_waiting_for_a_worker_can_be_stopped(cluster) -> None:
    with Engine(cluster.address) as engine:
        job = engine.submit(evaluation())
        job.stop()
        with pytest.raises(UNetError, match="stopped"):
            job.wait(10)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "tcp://.:9", "tcp://a:b"])
def test_a_wrong_address_is_reported_every_time(address, monkeypatch) -> None:
    monkeypatch.setattr("napari_unet.compute.connection._CONNECT_S", 1)
    before = set(threading.enumerate())
    for _ in range(3):
        with Engine(address) as engine:
            with pytest.raises(ComputeError, match="No scheduler answers at"):
                engine.submit(evaluation()).wait(40)
            assert engine.state == "lost"
        gc.collect()
    assert left_over(before) == set()


@pytest.mark.leaves_behind("the logs named in the messages")
def test_a_lost_connection_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    with Engine() as engine:
        for _ in range(2):
            engine.submit(evaluation()).wait(100)
            process = psutil.Process(engine.pid)
            lost = engine.submit(evaluation())
            process.kill()
            with contextlib.suppress(WorkerLost):  # it was quick, or another process restarted it
                lost.wait(100)
            psutil.wait_procs([process], 30)
        engine.submit(evaluation()).wait(100)
        names = [thread.name for thread in set(threading.enumerate()) - before]
        assert names.count("napari-unet-client") == 1
    assert left_over(before) == set()


def test_an_engine_closed_while_it_starts_stays_closed() -> None:
    before, processes = set(threading.enumerate()), hosts()
    engine = Engine()
    engine.start()
    job = engine.submit(evaluation())
    engine.close()
    with pytest.raises(Cancelled, match="was closed"):
        job.wait(10)
    assert left_over(before) == set()
    assert engine.state == "closed"
    assert hosts() <= processes


def hosts() -> set[int]:
    """Return the ids of the compute processes."""
    children = psutil.Process().children()
    return {c.pid for c in children if "napari_unet.compute.host" in c.cmdline()}


def left_over(before: set[threading.Thread]) -> set[threading.Thread]:
    """Return threads of the plugin and event loops of dask that started since and do not end."""

    def left() -> set[threading.Thread]:
        since = set(threading.enumerate()) - before
        return {t for t in since if t.name.startswith(("napari-unet", "IO loop"))}

    deadline = time.monotonic() + 60
    while left() and time.monotonic() < deadline:
        time.sleep(0.05)
    return left()
