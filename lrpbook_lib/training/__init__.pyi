from .callbacks import (
    AverageWeights as AverageWeights,
    Callback as Callback,
    HeatmapSnapshots as HeatmapSnapshots,
    KeepBest as KeepBest,
    Milestones as Milestones,
    read_snapshots as read_snapshots,
)
from .checkpoint import (
    CheckpointError as CheckpointError,
)
from .comparison import (
    compare as compare,
)
from .crossed import (
    compare_crossed as compare_crossed,
    cross as cross,
)
from .experiment import (
    Experiment as Experiment,
    PhantomData as PhantomData,
)
from .finite import (
    DeadNetworkWarning as DeadNetworkWarning,
    NonFiniteError as NonFiniteError,
)
from .grid import (
    run_grid as run_grid,
)
from .groups import (
    GroupBalanced as GroupBalanced,
    GroupDRO as GroupDRO,
)
from .metrics import (
    auc as auc,
    summarize as summarize,
)
from .plain import (
    SettingsError as SettingsError,
)
from .running import (
    run_experiment as run_experiment,
    seen as seen,
)
from .settings import (
    Hardware as Hardware,
    TrainSettings as TrainSettings,
)
from .statistics import (
    bootstrap_interval as bootstrap_interval,
)
from .trained import (
    TrainedModel as TrainedModel,
    read_model as read_model,
)
from .trainer import (
    Trainer as Trainer,
)
from .twins import (
    compare_twin_tables as compare_twin_tables,
    compare_twins as compare_twins,
    twin_measures as twin_measures,
    twin_table as twin_table,
)
