"""One experiment, from settings to a folder of results."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lrpbook_lib.data import (
    SliceSet,
    extract_slices,
    find_cases,
    make_phantom,
    mixed_sites,
    patient_folds,
    site_holdout,
)
from lrpbook_lib.data.phantom.knobs import named_by
from lrpbook_lib.data.phantom.scanner import SITES
from lrpbook_lib.files import digest, only_one, whole_or_absent, write_json
from lrpbook_lib.guidance import annotated, coarsen
from lrpbook_lib.models import NETWORKS

from .callbacks import (
    AverageWeights,
    Callback,
    HeatmapSnapshots,
    Milestones,
    predict_parts,
)
from .experiment import Experiment, PhantomData
from .metrics import summarize
from .plain import to_dict
from .settings import Hardware
from .trained import read_model
from .trainer import Trainer
from .views import VIEWS

Slices = Mapping[str, "SliceSet | str | Path"]


def phantom_slices(data: PhantomData, folder: str | Path) -> SliceSet:
    """Slices of a phantom, made once below ``folder`` and opened thereafter."""
    data, home = data.settled(), Path(folder) / "data"
    path = home / f"slices-{digest(named_by(to_dict(data)))}"
    if not path.exists():  # whole or absent: who finds it waits for nobody
        with only_one(home):
            if not path.exists():
                _take_slices(data, home, path)
    return SliceSet.load(path)


def _take_slices(data: PhantomData, home: Path, path: Path) -> None:
    knobs = named_by(data.phantom())
    extract_slices(
        find_cases(make_phantom(home / f"phantom-{digest(knobs)}", **knobs)),
        data.sequences,
        recipe=data.recipe,
        size=data.size,
        cache=home,
        into=path,
    )


def split(experiment: Experiment, slices: SliceSet) -> dict[str, np.ndarray]:
    """Positions for ``train``, ``patients`` and, unless none is held out, ``site``."""
    held = experiment.held_out
    if held is None and isinstance(experiment.data, PhantomData):
        held = tuple(site.name for site in SITES if site.grades == "mixed")
        held = tuple(name for name in held if name in set(slices.site))
    elif held is None:
        held = tuple(mixed_sites(slices))
    rest, parts = np.arange(len(slices)), {}
    if held:
        rest, parts["site"] = site_holdout(slices, held)

    def fold(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        folds = patient_folds(slices.subset(rows), experiment.folds, seed=0)
        train, test = folds[experiment.fold]
        return rows[train], rows[test]

    train, test = fold(rest)
    if experiment.inner:
        train, test = fold(train)
        parts = {}
    return {"train": train, "patients": test, **parts}


def masked(experiment: Experiment, train: SliceSet) -> SliceSet:
    """The training slices with the masks that training is to see."""
    m = experiment.masks
    if m.kind == "exact" and m.share == 1:
        return train
    tumor = coarsen(train.tumor, train.brain, m.kind, m.amount, seed=0)
    known = annotated(train.patient, m.share, seed=0)
    tumor = tumor & known.reshape(-1, *[1] * (tumor.ndim - 1))
    return train.with_arrays(tumor=tumor)


def run_experiment(
    experiment: Experiment,
    folder: str | Path,
    slices: Slices | None = None,
    hardware: Hardware | None = None,
) -> dict[str, Any]:
    """Run an experiment, or go on with it, or read what it found.

    Parameters
    ----------
    experiment : Experiment
    folder : path
        The run gets a folder of its own below, named by its hash: ``experiment.json``,
        ``checkpoint.safetensors``, ``history.csv``, ``predictions.csv`` (a row a test
        slice, ``part`` tells of which test set; of milestones, ``predictions_0010.csv``
        and so on) and, last, ``result.json``.
    slices : mapping of str to SliceSet or path
        What names in ``experiment.data`` stand for.
    hardware : Hardware

    Returns
    -------
    dict
        Numbers of the trained model: accuracy and so on, as ``patients_*`` and
        ``site_*``.
    """
    home = experiment.home(folder)
    write_json(home / "experiment.json", experiment.to_dict())
    began = time.perf_counter()
    data = _slices(experiment, folder, slices)
    parts = {name: data.subset(rows) for name, rows in split(experiment, data).items()}
    hardware = hardware or Hardware()
    view = VIEWS[experiment.view].fit(
        masked(experiment, parts["train"]),
        home / "view",
        experiment.settings.seed,
        hardware.device,
    )
    facts = {
        f"{name}_{key}": value
        for name, part in parts.items()
        for key, value in view.facts(part).items()
    }
    parts = {name: view(part) for name, part in parts.items()}
    torch.manual_seed(experiment.settings.seed)
    network = _network(experiment, parts["train"])
    callbacks: list[Callback] = []
    if experiment.snapshots:
        test = parts["patients"]
        chosen = np.linspace(0, len(test) - 1, experiment.snapshots).round()
        callbacks.append(HeatmapSnapshots(test, chosen.astype(int).tolist()))
    tests = {name: part for name, part in parts.items() if name != "train"}
    if experiment.milestones:
        callbacks.append(Milestones(tests, experiment.milestones))
    epochs = experiment.settings.epochs
    if experiment.average:
        callbacks.append(AverageWeights(epochs - experiment.average))
    trainer = Trainer(
        network,
        experiment.loss,
        experiment.settings,
        home,
        callbacks,
        hardware,
    )
    wanted = ("patients", "site") if experiment.curve == "both" else (experiment.curve,)
    curves = {name: parts[name] for name in wanted if name in parts}
    history = trainer.fit(masked(experiment, parts["train"]), curves)
    if experiment.average:
        network.load_state_dict(read_model(home).network.state_dict())
    predictions = predict_parts(trainer, tests)
    found: dict[str, Any] = {
        f"{name}_{key}": value
        for name, table in predictions.groupby("part", sort=False)
        for key, value in summarize(table, data.classes).items()
    }
    found |= facts | {f"{name}_slices": len(part) for name, part in parts.items()}
    found["seconds"] = float(history["seconds"].sum())
    found["cpu_seconds"] = float(history["cpu_seconds"].sum()) + view.cpu_seconds
    found["wall_seconds"] = time.perf_counter() - began
    found["device"] = str(trainer.fabric.device)
    for name, table in {"history": history, "predictions": predictions}.items():
        with whole_or_absent(home / f"{name}.csv") as beside:
            table.to_csv(beside, index=name == "history")
    return found


def seen(experiment: Experiment, folder: str | Path, slices: SliceSet) -> SliceSet:
    """Other slices as the network of a finished run would see them, by its view.

    Parameters
    ----------
    experiment : Experiment
    folder : path
        Where it was run.
    slices : SliceSet
        With true tumor masks, should the view be the oracle's.
    """
    view, home = VIEWS[experiment.view], experiment.home(folder)
    return view.read(home / "view", slices.images.shape[1])(slices)


def _network(experiment: Experiment, train: SliceSet) -> nn.Module:
    """The network with new weights, told of the data as much as it takes."""
    kind, (_, channels, *size) = NETWORKS[experiment.model], train.images.shape
    known = {
        "channels": channels,
        "classes": len(train.classes),
        "size": tuple(size),
        "sites": len(train.sites),
    }
    taken = inspect.signature(kind).parameters
    return kind(**{name: value for name, value in known.items() if name in taken})


def _slices(
    experiment: Experiment, folder: str | Path, slices: Slices | None
) -> SliceSet:
    if isinstance(experiment.data, PhantomData):
        return phantom_slices(experiment.data, folder)
    if slices is None or experiment.data not in slices:
        raise KeyError(
            f"The experiment wants the slices {experiment.data!r}; hand them over with "
            f"slices={{{experiment.data!r}: ...}}, a SliceSet or the path of one."
        )
    given = slices[experiment.data]
    return given if isinstance(given, SliceSet) else SliceSet.load(given)
