"""Unexpected errors: the trace is in a file, which the message names."""

import tempfile
from pathlib import Path

from napari_unet.core.system.error_log import unforeseen


def test_the_message_ends_with_a_file_that_holds_the_whole_trace(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    trace = "Traceback ...\n  in weigh\nZeroDivisionError: Łódź\n"
    message = unforeseen(trace)
    (log,) = tmp_path.iterdir()
    assert str(log) in message
    assert "(ZeroDivisionError: Łódź)" in message
    assert Path(log).read_text(encoding="utf-8") == trace


def test_a_long_last_line_is_cut_and_an_empty_trace_is_not_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert len(unforeseen("x" * 10_000)) < 500 + len(str(tmp_path))
    assert "no reason given" in unforeseen("")
