"""Which slices of a patient to keep, and how their intensities are scaled."""

from dataclasses import dataclass

import numpy as np

#: Class of slices without tumor.
HEALTHY = "healthy"


@dataclass(frozen=True)
class SliceRecipe:
    """How slices are chosen.

    Attributes
    ----------
    choose
        ``largest``: the axial slice with the largest tumor and neighbors at a
        fixed gap on both sides; ``tumor``: every slice with enough tumor;
        ``all``: these, and slices without any tumor as a class of their own;
        ``both``: those of ``largest``, and as many without any tumor, the nearest
        at that gap, so that the place in the head tells little.
    hgg_slices, lgg_slices
        Slices a patient for ``largest``; LGG patients are fewer and give more.
        Patients of unknown grade count as HGG here.
    hgg_gap, lgg_gap
        Distance between them, mm.
    min_tumor
        Least tumor area of a chosen slice, mm².
    min_brain
        Least brain area of a slice without tumor, mm².
    """

    choose: str = "largest"
    hgg_slices: int = 5
    lgg_slices: int = 15
    hgg_gap: float = 3.0
    lgg_gap: float = 1.0
    min_tumor: float = 50.0
    min_brain: float = 4000.0

    def __post_init__(self) -> None:
        if self.choose not in ("largest", "tumor", "all", "both"):
            raise ValueError(
                f"choose={self.choose!r} is unknown; it is 'largest', 'tumor', 'all' "
                "or 'both'"
            )
        if min(self.hgg_slices, self.lgg_slices) < 1:
            raise ValueError("hgg_slices and lgg_slices: take at least one slice")

    @property
    def with_healthy(self) -> bool:
        """Whether slices without tumor are a class of their own."""
        return self.choose in ("all", "both")


#: Recipes by name. ``paper`` is that of Sefcik and Benesova (2021).
RECIPES = {
    "paper": SliceRecipe(),
    "tumor": SliceRecipe(choose="tumor"),
    "healthy": SliceRecipe(choose="all"),
}


def choose_slices(
    recipe: SliceRecipe,
    seg: np.ndarray,
    brain: np.ndarray,
    grade: str | None,
    spacing: tuple[float, float, float],
) -> np.ndarray:
    """Axial positions to keep, ascending.

    Parameters
    ----------
    seg, brain
        ``(X, Y, Z)``.
    spacing
        Voxel edges, mm.
    """
    pixel = spacing[0] * spacing[1]
    area = np.count_nonzero(seg, axis=(0, 1)) * pixel
    enough = area >= max(recipe.min_tumor, pixel)
    if recipe.choose == "tumor":
        return np.flatnonzero(enough)
    room = np.count_nonzero(brain, axis=(0, 1)) * pixel >= recipe.min_brain
    bare = (area == 0) & room
    if recipe.choose == "all":
        return np.flatnonzero(enough | bare)
    lgg = grade == "LGG"
    count = recipe.lgg_slices if lgg else recipe.hgg_slices
    gap = recipe.lgg_gap if lgg else recipe.hgg_gap
    step = max(1, round(gap / spacing[2]))
    around = np.arange(count) - count // 2
    wanted = int(area.argmax()) + step * around
    wanted = wanted[(wanted >= 0) & (wanted < len(area))]
    wanted = wanted[enough[wanted]]
    if recipe.choose == "largest":
        return wanted
    away = np.flatnonzero(bare) - int(area.argmax())
    away = away[away % step == 0]
    nearest = away[np.argsort(np.abs(away), kind="stable")][: len(wanted)]
    return np.sort(np.concatenate([wanted, nearest + int(area.argmax())]))


def _sample(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Intensities of the brain, every other voxel along each axis of large volumes."""
    step = 1 if image.size < 4_000_000 else 2
    thin = (slice(None, None, step),) * 3
    values = image[thin][brain[thin]]
    return values if values.size else image[brain]


def _percentile(image: np.ndarray, brain: np.ndarray) -> tuple[float, ...]:
    low, high = np.percentile(_sample(image, brain), (1, 99))
    return float(low), float(max(high - low, 1e-6)), 0.0, 1.0


def _zscore(image: np.ndarray, brain: np.ndarray) -> tuple[float, ...]:
    values = _sample(image, brain)
    return float(values.mean()), float(max(values.std(), 1e-6)), -5.0, 5.0


def _maximum(image: np.ndarray, brain: np.ndarray) -> tuple[float, ...]:
    return 0.0, float(max(image.max(), 1e-6)), 0.0, 1.0


#: Scalings by name; each gives offset, unit, and the bounds of the result.
#: ``max`` is the paper's; one bright voxel decides it.
NORMALIZATIONS = {"percentile": _percentile, "zscore": _zscore, "max": _maximum}


def normalize(
    image: np.ndarray, brain: np.ndarray, chosen: np.ndarray, how: str
) -> np.ndarray:
    """Scale slices by what the whole brain of the patient measures in a channel.

    Parameters
    ----------
    image, brain
        ``(X, Y, Z)`` raw intensities of one channel, and where the brain is.
    chosen
        ``(S,)`` positions along Z; the result is ``(X, Y, S)`` float32.
    how
        Name in :data:`NORMALIZATIONS`.
    """
    offset, unit, low, high = NORMALIZATIONS[how](image, brain)
    scaled = (image[..., chosen].astype(np.float32) - offset) / unit
    return np.clip(scaled, low, high).astype(np.float32)
