"""The two networks of the book's first experiment, plain and guided."""

from __future__ import annotations

import torch
from torch import nn

from lrpbook_lib import models
from lrpbook_lib.results import read_arrays, read_result


def stamped_model(name: str = "plain") -> nn.Module:
    """A trained network of the book, in evaluation mode.

    Both were trained on synthetic patients of cohort seed 1, on the same slices and
    from the same first weights. The patients of seed 0, whom the chapters show, are new
    to them, and so are their scanners.

    Parameters
    ----------
    name : {"plain", "guided"}
        Trained on cross entropy alone, or with :class:`~lrpbook_lib.guidance.LRPLoss`
        of power 1.

    Returns
    -------
    nn.Module
        ``GliomaCNN`` for three sequences, t1, t2 and flair, at 64 x 64.
    """
    about, weights = read_result("models"), read_arrays("models")
    names = sorted({key.split("/")[0] for key in weights})
    if name not in names:
        raise KeyError(f"There is no stamped model {name!r}; there are {names}.")
    model = getattr(models, about["network"])(**about["arguments"])
    model.load_state_dict(
        {
            key.removeprefix(f"{name}/"): torch.from_numpy(tensor).float()
            for key, tensor in weights.items()
            if key.startswith(f"{name}/")
        }
    )
    return model.eval()
