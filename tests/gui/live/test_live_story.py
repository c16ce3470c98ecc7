"""Live training as a user works: paint, watch, erase, paint again, ask, accept, stop, predict.

If ``NAPARI_UNET_PICTURES`` is a folder, pictures of the canvas and the window are saved in it.
"""

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.timeout(600)

GLAND, STROMA, LUMEN = 1, 2, 3
HERE, THERE = (slice(None), slice(0, 352)), (slice(None), slice(352, None))
"""Columns of the image that are painted on, and columns that are only predicted."""
LINES = {
    GLAND: [((70, 80), (100, 95)), ((60, 200), (90, 215)), ((420, 90), (450, 105)),
            ((400, 310), (425, 325)), ((150, 110), (175, 130)), ((330, 65), (360, 80))],
    STROMA: [((290, 180), (300, 215)), ((420, 205), (450, 210)), ((380, 195), (405, 225)),
             ((255, 300), (275, 325)), ((230, 110), (245, 125)), ((345, 180), (365, 195)),
             ((470, 225), (490, 235))],
    LUMEN: [((310, 8), (340, 20)), ((370, 12), (385, 30))],
}  # fmt: skip
"""Strokes of the brush, start and end [y, x]."""
SURE = {
    GLAND: [(110, 150), (30, 60), (470, 120), (440, 330), (380, 100), (180, 200), (120, 240)],
    STROMA: [(340, 215), (460, 190), (250, 320), (310, 240), (490, 210)],
    LUMEN: [(355, 35), (345, 12), (395, 30)],
}
"""Places away from the strokes whose class is beyond doubt."""
SURE_THERE = {
    GLAND: [(60, 40), (100, 60), (200, 60), (240, 40), (450, 10)],
    STROMA: [(100, 130), (250, 140), (330, 120), (430, 140)],
}
ANSWER_S = 120
ENOUGH_STEPS = 50


def preview_of(person: Any) -> Any:
    found = [x for x in person.viewer.layers if x.name.endswith("preview")]
    return found[0] if found else None


def right(labels: Any, places: dict[int, list[tuple[int, int]]]) -> float:
    """Return the share of correct pixels around places; all classes have the same weight."""
    near = lambda y, x: np.asarray(labels)[max(0, y - 7) : y + 8, max(0, x - 7) : x + 8]  # noqa: E731
    shares = {i: [(near(y, x) == i).mean() for y, x in found] for i, found in places.items()}
    return float(np.mean([np.mean(of_class) for of_class in shares.values()]))


def test_from_the_first_stroke_to_another_image(person: Any) -> None:
    from skimage import data

    pixels = data.immunohistochemistry()
    image = person.viewer.add_image(pixels[HERE], rgb=True, name="tissue")
    train = person.open("Train")
    person.see_all()
    steps = [0]
    train.live.stated.connect(lambda state: steps.append(state.step))
    person.press(train.live_button)
    strokes = person.viewer.layers["tissue strokes"]
    assert strokes.mode == "paint"

    def paint(number: int, *lines: Any) -> None:
        strokes.selected_label = number
        for line in lines:
            person.drag(*line)

    # one stroke of each of two classes, and the preview appears
    for number in (GLAND, STROMA):
        paint(number, LINES[number][0])
    person.canvas_picture("live-1-strokes", image)
    person.wait(lambda: preview_of(person) is not None, ANSWER_S)
    two = {number: SURE[number] for number in (GLAND, STROMA)}
    person.wait(lambda: right(preview_of(person).data, two) > 0.5, ANSWER_S)
    person.canvas_picture("live-2-preview", image)

    # a wrong stroke is erased and painted again
    wrong = LINES[GLAND][1]
    paint(STROMA, wrong)
    there = np.asarray(strokes.data)[50:100, 190:230]
    assert (there == STROMA).any()
    strokes.mode = "erase"
    person.drag(*wrong)
    assert not there.any()
    strokes.mode = "paint"
    paint(GLAND, *LINES[GLAND][1:])
    paint(STROMA, *LINES[STROMA][1:])
    person.wait(lambda: right(preview_of(person).data, two) > 0.85, ANSWER_S)

    # a third class
    paint(LUMEN, *LINES[LUMEN])
    person.wait(lambda: right(preview_of(person).data, SURE) > 0.85, ANSWER_S)
    person.canvas_picture("live-3-classes", image)
    person.wait(lambda: len(train.classes.classes) == 3)

    # show the uncertainty and a proposal, late enough for the network to have learned
    person.wait(lambda: steps[-1] >= ENOUGH_STEPS, 300)  # in steps, as machines differ in speed
    person.press(train.uncertainty)
    person.wait(lambda: "tissue uncertainty" in person.viewer.layers, ANSWER_S)
    preview_of(person).visible = False
    person.canvas_picture("live-4-uncertainty", image)
    preview_of(person).visible = True
    person.press(train.uncertainty)
    painted = int((strokes.data > 0).sum())
    person.press(train.suggest_button)
    person.wait(lambda: train.accept_button.native.isVisible(), ANSWER_S)
    proposal = person.viewer.layers["tissue proposal"]
    assert (person.viewer.layers.selection.active, proposal.mode) == (proposal, "paint")
    person.picture("window-live")
    person.press(train.accept_button)
    assert (strokes.data > 0).sum() > painted + 200
    person.see_all()
    accepted = steps[-1]
    person.wait(lambda: steps[-1] >= accepted + 5, ANSWER_S)
    person.press(train.live_button)
    person.wait(lambda: not train.live.running, ANSWER_S)
    assert "is ready in Predict" in train.result.text

    # another part of the tissue, without strokes
    person.viewer.layers.clear()
    other = person.viewer.add_image(pixels[THERE], rgb=True, name="more tissue")
    person.see_all()
    predict = person.open("Predict")
    predict.model.choose(train.live.model)
    person.wait(lambda: predict.run_button.enabled)
    person.press(predict.run_button)
    person.wait(lambda: not predict.run.busy and len(person.viewer.layers) == 2, ANSWER_S)
    found = person.viewer.layers[-1]
    share = right(found.data, SURE_THERE)
    print(f"right at the places that are sure: {share:.2f}")
    assert share > 0.75
    person.canvas_picture("live-5-another", other)
