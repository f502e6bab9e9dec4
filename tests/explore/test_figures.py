"""Figures carry their text."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib.figure import Figure

from lrpbook_lib import explore


@pytest.fixture(autouse=True)
def shell():
    """IPython's display machinery, as in a notebook."""
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_show_displays_a_png_with_its_text_and_closes_the_figure():
    fig, axis = plt.subplots()
    axis.plot([1, 2])
    with capture_output() as captured:
        explore.show(fig, "A rising line.")
    (output,) = captured.outputs
    assert output.data["image/png"].startswith(b"\x89PNG")
    assert output.metadata["image/png"]["alt"] == "A rising line."
    assert not plt.fignum_exists(fig.number)


def test_show_wants_a_text_and_takes_a_figure_without_pyplot():
    with pytest.raises(ValueError, match="needs an alt text"):
        explore.show(Figure(), " ")
    with capture_output() as captured:
        explore.show(Figure(), "Nothing yet.")
    assert len(captured.outputs) == 1


def test_sequence_panels_hang_the_left_side_on_the_right():
    image = np.zeros((10, 12))
    image[1:3, 2:4] = 1  # small x: the patient's left
    fig = explore.sequence_panels({"T1": image}, labels=(image > 0) * 4)
    shown = fig.axes[0].images[0].get_array()
    rows, columns = np.nonzero(shown)
    assert columns.min() >= 7  # right half of ten columns
    assert (rows.min(), rows.max()) == (8, 9)  # and small y, the back, below
    assert len(fig.axes) == 2


def test_frame_slider_has_a_stop_for_each_frame():
    import plotly.graph_objects as go

    frames = [go.Frame(data=[go.Bar(y=[n])], name=str(n)) for n in (3, 5)]
    fig = go.Figure(data=[go.Bar(y=[3])], frames=frames)
    slider = explore.frame_slider(fig, "time", "ms")
    fig.update_layout(sliders=[slider])  # plotly checks the keys
    assert [step["label"] for step in slider["steps"]] == ["3", "5"]
    assert [step["args"][0] for step in slider["steps"]] == [["3"], ["5"]]
