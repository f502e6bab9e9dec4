"""The trainer and grids of experiments.

Names are imported when first used, so that importing this package costs nothing.
"""

from typing import TYPE_CHECKING

from lrpbook_lib.lazily import names_of

if TYPE_CHECKING:
    from lrpbook_lib.training.arms import compare
    from lrpbook_lib.training.callbacks import (
        Callback,
        EarlyStop,
        HeatmapSnapshots,
        KeepBest,
        read_snapshots,
    )
    from lrpbook_lib.training.checkpoint import CheckpointError, load_weights
    from lrpbook_lib.training.experiment import Experiment, PhantomData
    from lrpbook_lib.training.finite import NonFiniteError
    from lrpbook_lib.training.grid import read_grid, run_grid
    from lrpbook_lib.training.metrics import auc, summarize
    from lrpbook_lib.training.plain import SettingsError
    from lrpbook_lib.training.running import run_experiment
    from lrpbook_lib.training.settings import Hardware, TrainSettings
    from lrpbook_lib.training.stamped import stamped_model
    from lrpbook_lib.training.statistics import bootstrap_interval, paired_test
    from lrpbook_lib.training.trainer import Trainer

_HOME = {
    "Callback": "callbacks",
    "CheckpointError": "checkpoint",
    "EarlyStop": "callbacks",
    "Experiment": "experiment",
    "Hardware": "settings",
    "HeatmapSnapshots": "callbacks",
    "KeepBest": "callbacks",
    "NonFiniteError": "finite",
    "PhantomData": "experiment",
    "SettingsError": "plain",
    "TrainSettings": "settings",
    "Trainer": "trainer",
    "auc": "metrics",
    "bootstrap_interval": "statistics",
    "compare": "arms",
    "load_weights": "checkpoint",
    "paired_test": "statistics",
    "read_grid": "grid",
    "read_snapshots": "callbacks",
    "run_experiment": "running",
    "run_grid": "grid",
    "stamped_model": "stamped",
    "summarize": "metrics",
}

__all__ = [
    "Callback",
    "CheckpointError",
    "EarlyStop",
    "Experiment",
    "Hardware",
    "HeatmapSnapshots",
    "KeepBest",
    "NonFiniteError",
    "PhantomData",
    "SettingsError",
    "TrainSettings",
    "Trainer",
    "auc",
    "bootstrap_interval",
    "compare",
    "load_weights",
    "paired_test",
    "read_grid",
    "read_snapshots",
    "run_experiment",
    "run_grid",
    "stamped_model",
    "summarize",
]

__getattr__, __dir__ = names_of(__name__, _HOME)
