"""The plugin in support/leaks.py fails tests that leave any kind of resource behind."""

import re
import subprocess
import sys
from pathlib import Path

SUPPORT = Path(__file__).with_name("support")

TESTS = """
import subprocess, sys, tempfile, threading
import leaks, pytest

leaks.PATIENCE_S = 0.2
HELD = []

@pytest.fixture(scope="module")
def shared():
    HELD.append(tempfile.mkdtemp())

def test_thread():
    HELD.append(threading.Thread(target=threading.Event().wait, name="waiting", daemon=True))
    HELD[-1].start()

def test_process():
    code = "import sys; sys.stdin.read()"
    HELD.append(subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE))

def test_file():
    HELD.append(tempfile.mkstemp(prefix="mine-"))

def test_folder():
    HELD.append(tempfile.mkdtemp(prefix="ours-"))

def test_widget():
    from qtpy.QtWidgets import QApplication, QWidget
    HELD.append(QApplication.instance() or QApplication([]))
    HELD.append(QWidget())
    HELD[-1].setWindowTitle("orphan")

def test_clean(shared):
    from qtpy.QtWidgets import QWidget
    thread = threading.Thread(target=int)
    thread.start()
    subprocess.run([sys.executable, "-c", ""])
    with tempfile.TemporaryFile():
        QWidget().deleteLater()

def test_another(shared):
    pass
"""


def test_a_test_fails_that_leaves_something_behind(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("COLUMNS", "400")
    options = ["-p", "leaks", "-p", "no:cacheprovider", "-q", "-rE", "--basetemp", "base"]
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", ".", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    left = {
        "thread": "thread waiting",
        "process": f"process [0-9]+: {sys.executable} -c .*",
        "file": "temporary file or folder mine-.*",
        "folder": "temporary file or folder ours-.*",
        "widget": "widget QWidget 'orphan'",
    }
    for name, what in left.items():
        line = f"ERROR test_it.py::test_{name} - Failed: The test leaves behind: {what}"
        assert re.search(f"^{line}$", done.stdout, re.MULTILINE), done.stdout
    assert f"{len(left) + 2} passed, {len(left)} errors" in done.stdout
