import threading

from qtpy.QtCore import QCoreApplication, QObject, QThread

from napari_unet.compute import Ended, Job, Progress
from napari_unet.gui.app.jobs import QtJob


def posted_from_a_thread(job: Job, *events: object) -> None:
    thread = threading.Thread(target=lambda: [job.post(event) for event in events])
    thread.start()
    thread.join()


def test_events_come_in_order_on_the_main_thread(qtbot) -> None:
    job = Job(None, lambda job: None)
    job.post(Progress(0, 2))  # before anybody listened
    qt_job = QtJob(job)
    heard, threads = [], set()

    def hear(event: object) -> None:
        heard.append(event)
        threads.add(QThread.currentThread())

    qt_job.event.connect(hear)
    qt_job.ended.connect(hear)
    with qtbot.waitSignal(qt_job.ended):
        posted_from_a_thread(job, Progress(2, 2), Ended(5, None))
    assert heard == [Progress(0, 2), Progress(2, 2), Ended(5, None)]
    assert threads == {QCoreApplication.instance().thread()}


def test_a_widget_that_is_gone_hears_nothing_and_nothing_fails(qtbot, caplog) -> None:
    job = Job(None, lambda job: None)
    widget = QObject()
    heard: list[object] = []
    QtJob(job, widget).event.connect(heard.append)
    widget.deleteLater()
    qtbot.wait(20)
    posted_from_a_thread(job, Progress(1, 2), Ended(5, None))
    qtbot.wait(20)
    assert heard == []
    assert job.status == "done"
    assert not caplog.records


def test_a_job_that_nobody_waits_for_is_stopped(qtbot) -> None:
    stopped: list[Job] = []
    job = Job(None, stopped.append)
    widget = QObject()
    QtJob(job, widget)
    job.post(Progress(0, 2))
    assert stopped == []
    widget.deleteLater()
    qtbot.wait(20)
    job.post(Progress(1, 2))
    assert stopped == [job]


def test_nothing_is_kept_of_a_job_that_has_ended(qtbot) -> None:
    job = Job(None, lambda job: None)
    widget = QObject()
    qt_job = QtJob(job, widget)
    with qtbot.waitSignal(qt_job.ended):
        job.post(Ended(5, None))
    qtbot.waitUntil(lambda: not widget.children())


def test_stop_goes_to_the_job(qtbot) -> None:
    stopped: list[Job] = []
    job = Job(None, stopped.append)
    QtJob(job).stop()
    assert stopped == [job]
