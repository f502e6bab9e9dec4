"""A small phantom for all tests, and the real files where this machine has them."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lrpbook_lib.data import (
    make_phantom,
)
from lrpbook_lib.places import (
    data_home,
)


@pytest.fixture(autouse=True)
def quiet_and_apart(monkeypatch, tmp_path):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("LRPBOOK_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def phantom(tmp_path_factory) -> Path:
    """Fourteen patients with voxels of 4 mm: a second or two."""
    root = tmp_path_factory.mktemp("phantom")
    return make_phantom(root / "cohort", patients=14, seed=3, spacing=4.0, workers=1)


@pytest.fixture(scope="session")
def real():
    """Paths below the folder of real data; skips where they are not there."""

    def below(name: str) -> Path:
        home = data_home()
        if home is None or not (home / name).exists():
            pytest.skip(
                f"no real {name} here: set LRPBOOK_DATA to try it on real files"
            )
        return home / name

    return below


def write_volume(path: Path, array: np.ndarray, affine: np.ndarray | None = None):
    path.parent.mkdir(parents=True, exist_ok=True)
    # As BraTS: to the left, to the back, up.
    affine = np.diag([-1.0, -1, 1, 1]) if affine is None else affine
    nib.save(nib.Nifti1Image(array, affine), path)


def small_case(seed: int = 0, labels=(1, 2, 4), shape=(20, 24, 12)):
    """Four volumes and a mask, in the axes of BraTS."""
    rng = np.random.default_rng(seed)
    brain = np.zeros(shape, bool)
    brain[3:-3, 3:-3, 1:-1] = True
    images = {}
    for k, name in enumerate(("t1", "t1ce", "t2", "flair")):
        noise = rng.integers(100 * (k + 1), 200 * (k + 1), shape)
        images[name] = np.where(brain, noise, 0).astype(np.int16)
    seg = np.zeros(shape, np.uint8)
    seg[5:12, 6:14, 3:9] = labels[1]
    seg[7:10, 8:12, 4:8] = labels[0]
    if len(labels) > 2:
        seg[8, 8:10, 5:7] = labels[2]
    return images, seg
