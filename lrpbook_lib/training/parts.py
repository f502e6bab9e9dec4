"""Between a batch as it is loaded and a table as it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor


def parts_of(
    batch: Mapping[str, Tensor], wants: Sequence[str] = ("tumor", "brain")
) -> tuple[Tensor, ...]:
    """Image and label of a batch, and what is wanted beside.

    Without a tumor in it nothing is known of one; without a brain it is where the image
    is not zero.
    """
    image = batch["image"]
    found = [image, batch["label"]]
    for name in wants:
        if name in batch:
            found.append(batch[name])
        elif name == "tumor":
            found.append(torch.zeros_like(image[:, 0]))
        elif name == "brain":
            found.append((image != 0).any(1))
        else:
            raise ValueError(
                f"The loss wants {name!r} of every sample, and their dictionaries have "
                f"{', '.join(batch)}."
            )
    return tuple(found)


def pieces_of(batch: Mapping[str, Any], number: int) -> Iterator[Mapping[str, Any]]:
    """A batch in so many pieces, or one a sample where it has fewer; none is lost."""
    samples = len(batch["label"])
    size = -(-samples // number)
    for start in range(0, samples, size):
        yield {name: value[start : start + size] for name, value in batch.items()}


def check_labels(batch: Mapping[str, Tensor], classes: int) -> None:
    """Refuse labels without a class, before a GPU fails on them in its own words."""
    label = batch["label"]
    if label.is_floating_point():
        raise TypeError(f"Labels have dtype {label.dtype}; they are class indices.")
    wrong = ((label < 0) | (label >= classes)).nonzero().flatten()
    if len(wrong):
        i = int(wrong[0])
        unknown = " (-1 means an unknown grade)" if int(label[i]) == -1 else ""
        raise ValueError(
            f"Sample {int(batch['index'][i])} has label {int(label[i])}{unknown}; the "
            f"model has {classes} classes, 0 to {classes - 1}. Leave such samples out, "
            "e.g. slices.subset(slices.labels >= 0), or give the model more classes."
        )


def prediction_table(columns: np.ndarray, data: Any) -> pd.DataFrame:
    """A row a sample, from index, label, ce, score, chance and the probabilities."""
    names = ["index", "label", "ce", "score", "chance"]
    names += [f"p_{c}" for c in range(columns.shape[1] - len(names))]
    table = pd.DataFrame(columns, columns=names)
    # Processes with one sample less repeated the last one.
    table = table.drop_duplicates("index").sort_values("index", ignore_index=True)
    table = table.astype({"index": int, "label": int})
    table.insert(2, "predicted", table.filter(like="p_").to_numpy().argmax(1))
    for name in ("patient", "site"):
        if hasattr(data, name):
            table[name] = np.asarray(getattr(data, name))
    return table
