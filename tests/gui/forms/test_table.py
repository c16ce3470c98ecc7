"""Tables sort in natural order, emit the clicked row and are saved as CSV."""

import csv
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_unet.core.errors import StorageError
from napari_unet.gui.forms.table import Table

ROWS = [
    {"id": 10, "name": "cell 10", "iou": 0.5, "hit": True},
    {"id": 9, "name": "cell 9", "iou": None, "hit": False},
    {"id": np.int64(100), "name": "cell 100", "iou": np.float32(0.123456789), "hit": True},
    {"id": 1, "name": "Cell 1", "iou": float("nan")},
]


@pytest.fixture
def table(qtbot) -> Table:
    table = Table(ROWS, headings={"iou": "IoU"}, tooltips={"iou": "Overlap."})
    qtbot.addWidget(table.native)
    table.native.show()
    return table


def seen(table: Table, column: int) -> list[str]:
    model = table.view.model()
    return [model.index(i, column).data() for i in range(model.rowCount())]


def test_rows_stay_in_their_order_until_sorted(table: Table) -> None:
    assert seen(table, 0) == ["10", "9", "100", "1"]


def test_numbers_sort_as_numbers_and_names_as_people_count(table: Table) -> None:
    table.sort_by("id")
    assert seen(table, 0) == ["1", "9", "10", "100"]
    table.sort_by("name", descending=True)
    assert seen(table, 1) == ["cell 100", "cell 10", "cell 9", "Cell 1"]


@pytest.mark.parametrize("descending", [False, True])
def test_empty_cells_come_last_either_way(table: Table, descending: bool) -> None:
    table.sort_by("iou", descending=descending)
    assert seen(table, 2)[2:] == ["–", "–"]
    assert seen(table, 2)[:2] == (["0.5", "0.1235"] if descending else ["0.1235", "0.5"])


def test_a_click_tells_the_row_that_is_seen_there(table: Table, qtbot) -> None:
    clicked: list[dict] = []
    table.row_clicked.connect(clicked.append)
    table.sort_by("id")
    place = table.view.visualRect(table.view.model().index(1, 0)).center()
    for _ in range(3):  # also again, to jump back there
        qtbot.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert [row["id"] for row in clicked] == [9, 9, 9]
    qtbot.keyClick(table.view, Qt.Key.Key_Down)
    assert clicked[-1]["id"] == 10
    assert len(clicked) == 4


def test_new_rows_do_not_count_as_a_click(table: Table) -> None:
    clicked: list[dict] = []
    table.view.selectRow(0)
    table.row_clicked.connect(clicked.append)
    table.sort_by("id")
    table.show_rows([{"id": 3}, {"id": 2}])
    assert clicked == []
    assert table.selected_rows == []
    assert seen(table, 0) == ["2", "3"]  # the sorting stays


def test_ctrl_c_copies_for_a_spreadsheet(table: Table, qtbot) -> None:
    table.view.setFocus()
    table.view.selectRow(2)
    qtbot.keyClick(table.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QApplication.clipboard().text().splitlines()
    assert lines[0] == "id\tname\tiou\thit"
    assert lines[1].startswith("100\tcell 100\t0.1234567")
    assert len(lines) == 2


def test_csv_has_all_rows_as_seen_and_numbers_in_full(table: Table, tmp_path: Path) -> None:
    table.sort_by("id")
    table.save_csv(tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["1", "9", "10", "100"]
    assert float(rows[3]["iou"]) == np.float32(0.123456789)
    assert rows[0]["iou"] == rows[1]["iou"] == ""


def test_a_folder_that_is_not_there_is_said(table: Table, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        table.save_csv(tmp_path / "file" / "t.csv")


def test_only_the_wanted_columns(qtbot) -> None:
    table = Table(ROWS, ["iou", "id"])
    qtbot.addWidget(table.native)
    assert table.csv_text().startswith("iou,id\n")


def test_headings_are_words(table: Table) -> None:
    model = table.view.model()
    assert model.headerData(2, Qt.Orientation.Horizontal) == "IoU"
    tip = Qt.ItemDataRole.ToolTipRole
    assert model.headerData(2, Qt.Orientation.Horizontal, tip) == "Overlap."


def test_many_rows_show_quickly(qtbot) -> None:
    table = Table()
    qtbot.addWidget(table.native)
    table.show_rows([{"id": i, "area": i % 97, "iou": i / 20_000} for i in range(20_000)])
    table.sort_by("area")
    assert seen(table, 1)[0] == "0"
