"""An experiment: everything that decides a run, in one frozen value with a name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from lrpbook_lib.data import PhantomSettings, SliceRecipe
from lrpbook_lib.files import digest
from lrpbook_lib.guidance import CrossEntropy
from lrpbook_lib.guidance.masks import Kind
from lrpbook_lib.models import NETWORKS

from .plain import SettingsError, chosen, differences, from_dict, near, to_dict
from .settings import TrainSettings
from .views import VIEWS


@dataclass(frozen=True)
class PhantomData(PhantomSettings):
    """A phantom cohort, and the slices taken from it.

    Attributes
    ----------
    size
        Height and width of the slices.
    sequences
    recipe
        See :func:`~lrpbook_lib.data.extract_slices`.
    """

    size: int = 96
    sequences: tuple[str, ...] = ("t1", "t2", "flair")
    recipe: str | SliceRecipe = "paper"

    def phantom(self) -> dict[str, Any]:
        """The settings of the cohort alone."""
        return {f.name: getattr(self, f.name) for f in fields(PhantomSettings)}


@dataclass(frozen=True)
class MaskSettings:
    """The masks that training sees; scores always use the true ones.

    Attributes
    ----------
    kind, amount
        See :func:`~lrpbook_lib.guidance.coarsen`.
    share
        Share of the training patients that have a mask at all.
    """

    kind: Kind = "exact"
    amount: int = 5
    share: float = 1.0


@dataclass(frozen=True)
class Experiment:
    """All settings of a run. Equal settings are the same run, anywhere and ever after.

    One training is judged twice: on held-out patients of the sites it was trained on
    (a fold), and on the patients of sites it has never seen.

    Attributes
    ----------
    data
        A phantom, or a name that ``run_grid(slices=...)`` maps to slices. A name stands
        for the same slices for ever: give changed slices another one.
    held_out
        Sites kept for the test; None for those that treat both grades, in the phantom
        by plan, in other data where slices of both are found. Empty for none.
    fold, folds
        Which fold of the patients of the other sites is the test, of how many.
    model
        Name of a network of :mod:`lrpbook_lib.models`, or of one's own that is
        registered there and takes ``channels``, ``classes`` and ``size``.
    loss
        A guidance loss.
    settings
        Of the training; its seed makes the first weights too.
    masks
    curve : {"patients", "site", "both", "none"}
        Which test sets every epoch ends with.
    snapshots
        Number of test slices to keep heatmaps of, epoch by epoch.
    inner
        Whether to keep the test out of it altogether: the patients that would be
        trained on are divided anew, and a fold of *them* is the test. For choosing
        settings.
    milestones
        Epochs, counted from one, after which the test sets are predicted as well.
        While settings of the optimizer do not change on the way, a training of 40
        epochs holds all shorter ones.
    average
        The network is the mean of the weights after each of the last so many epochs
        (:class:`~lrpbook_lib.training.AverageWeights`); at 0, those after the last.
    view : {"whole", "tumor", "crop"}
        What the network sees of every slice, trained on or tested on: see
        ``VIEWS`` in :mod:`lrpbook_lib.training.views`.

    Examples
    --------
    >>> plain = Experiment(settings=TrainSettings(epochs=5))
    >>> guided = [plain.but(loss=LRPLoss(k), seed=s) for k in (1, 2) for s in range(5)]
    """

    data: PhantomData | str = field(default_factory=PhantomData)
    held_out: tuple[str, ...] | None = None
    fold: int = 0
    folds: int = 5
    model: str = "GliomaCNN"
    loss: CrossEntropy = field(default_factory=CrossEntropy)
    settings: TrainSettings = field(default_factory=TrainSettings)
    masks: MaskSettings = field(default_factory=MaskSettings)
    curve: Literal["patients", "site", "both", "none"] = "patients"
    snapshots: int = 0
    inner: bool = False
    milestones: tuple[int, ...] = ()
    average: int = 0
    view: str = "whole"

    def __post_init__(self) -> None:
        if not 0 <= self.fold < self.folds:
            raise SettingsError(f"fold={self.fold} lies outside 0 to {self.folds - 1}.")
        if isinstance(self.data, PhantomData) and self.data.twins:
            raise SettingsError(
                "Twins are one person many times, for testing a trained network alone: "
                "leave data.twins at 0."
            )
        if self.model not in NETWORKS:
            raise SettingsError(
                f"model is {self.model!r}{near(self.model, NETWORKS)}; it takes one of "
                f"{', '.join(NETWORKS)}, or one of your own that is registered with "
                "lrpbook_lib.models.register_network."
            )
        if self.curve not in ("patients", "site", "both", "none"):
            raise SettingsError(
                f"curve is {self.curve!r}; it takes patients, site, both or none."
            )
        if self.view not in VIEWS:
            raise SettingsError(
                f"view is {self.view!r}{near(self.view, VIEWS)}; it takes one of "
                f"{', '.join(VIEWS)}."
            )
        epochs = self.settings.epochs
        if any(not 1 <= epoch <= epochs for epoch in self.milestones):
            raise SettingsError(
                f"milestones={self.milestones} must lie within the {epochs} epochs."
            )
        if not 0 <= self.average <= epochs:
            raise SettingsError(
                f"average={self.average} must be 0, or at most the {epochs} epochs."
            )

    @property
    def name(self) -> str:
        """Sixteen hexadecimal digits, the same on every machine: the folder's name.

        They follow from what was chosen, not from what was left at its default: a
        setting that the library learns later renames no run.
        """
        return digest(chosen(self))

    def home(self, folder: str | Path) -> Path:
        """The folder of the run below ``folder``.

        Raises
        ------
        SettingsError
            If a run of this name had other settings: a default has changed since, and
            old numbers would pass for new ones.
        """
        home = Path(folder) / self.name
        record = home / "experiment.json"
        if record.is_file():
            known = json.loads(record.read_text("utf-8"))
            if changed := differences(known, self):
                raise SettingsError(
                    f"{home} was run when a default was another: "
                    f"{'; '.join(changed)}. Undo the change, or name another folder."
                )
        return home

    def but(self, **changes: Any) -> Experiment:
        """The same experiment with other settings.

        Settings of the training, of the data and of the masks may be named directly,
        e.g. ``but(seed=3, difficulty=0.2, share=0.1)``; ``seed`` is the training's.
        """
        own = {f.name for f in fields(self)}
        new: dict[str, Any] = {k: v for k, v in changes.items() if k in own}
        left = {k: v for k, v in changes.items() if k not in own}
        for part in ("settings", "masks", "data"):
            value = new.get(part, getattr(self, part))
            if isinstance(value, str):
                continue
            mine = {f.name for f in fields(value)} & set(left)
            if mine:
                new[part] = replace(value, **{k: left.pop(k) for k in mine})
        if left:
            # The reader of settings words it, with near matches.
            from_dict(Experiment, left)
        return replace(self, **new)

    def to_dict(self) -> dict[str, Any]:
        """All settings, as JSON can say them."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Experiment:
        """Settings read from a file; an unknown key is an error that names it."""
        return from_dict(cls, plain)
