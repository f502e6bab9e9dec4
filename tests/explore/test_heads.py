"""Maps of whole heads on the template: in their place, and on a page of their own."""

import re

import numpy as np
import pytest

from lrpbook_lib.data import VolumeSettings
from lrpbook_lib.explore import head_viewer, on_template

FRAME = VolumeSettings(spacing=8.0, centered=False)


def spot(*mm):
    """A map that is one voxel, nearest to a point of MNI space."""
    values = np.zeros(FRAME.edges, dtype="f4")
    at = np.linalg.inv(FRAME.affine()) @ [*mm, 1.0]
    values[tuple(np.rint(at[:3]).astype(int))] = 3.0
    return values


def colored(axes):
    """Whether any pixel of a plane is drawn in color: the template is gray."""
    for image in axes.get_images():
        shown = np.ma.filled(image.to_rgba(image.get_array()), 0)
        drawn = shown[..., :3][shown[..., 3] > 0.5]
        if len(drawn) and (np.ptp(drawn, axis=-1) > 0.2).any():
            return True
    return False


def test_a_map_lies_where_its_affine_says():
    where = (27, -20, 12)
    found = []
    for name, point in (("here", where), ("elsewhere", (-40, 40, 50))):
        fig = on_template({name: spot(*point)}, FRAME.affine(), cuts=where)
        texts = fig.findobj(lambda artist: hasattr(artist, "get_text"))
        assert name in [text.get_text() for text in texts]
        found.append(sum(colored(axes) for axes in fig.axes))
    assert found[0] - found[1] == 3  # the three planes; the scale is in both


def test_the_viewer_stands_on_its_own():
    page = head_viewer(spot(0, -10, 10), FRAME.affine(), 'A "map" <of> one voxel').data
    assert "srcdoc=" in page and not re.search(r'(src|href)="https?://', page)
    assert 'title="A &quot;map&quot; &lt;of&gt; one voxel"' in page


@pytest.mark.parametrize("peak", [0.0, 5.0])
def test_maps_are_shown_relative_to_their_own_maximum(peak):
    from lrpbook_lib.explore.figures.heads import as_image

    image = as_image(np.full((2, 2, 2), peak), np.eye(4))
    assert image.get_fdata().max() == (1.0 if peak else 0.0)
