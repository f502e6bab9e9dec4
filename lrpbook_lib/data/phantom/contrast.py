"""MR signal from tissue: relaxation times in, brightness of each sequence out."""

from dataclasses import dataclass

import numpy as np

#: Relaxivity of gadolinium contrast agent, 1 / (s mmol/l).
RELAXIVITY = 4.1


@dataclass(frozen=True)
class Tissue:
    """Proton density (relative), T1 and T2 in seconds."""

    density: float
    t1: float
    t2: float


#: Textbook values for 1.5 to 3 tesla, rounded.
TISSUES = {
    "gray": Tissue(0.80, 1.40, 0.095),
    "white": Tissue(0.70, 0.75, 0.075),
    "fluid": Tissue(1.00, 4.20, 1.500),
    "edema": Tissue(0.86, 1.45, 0.150),
    "core": Tissue(0.88, 1.70, 0.175),
    "enhancing": Tissue(0.85, 1.35, 0.120),
    "necrosis": Tissue(0.96, 2.40, 0.300),
}


@dataclass(frozen=True)
class Sequences:
    """Timing of the four sequences of one scanner, in seconds."""

    t1_tr: float = 0.45
    t1_te: float = 0.012
    t2_tr: float = 4.5
    t2_te: float = 0.095
    flair_tr: float = 9.0
    flair_ti: float = 2.40
    flair_te: float = 0.110


def spin_echo(tissue: Tissue, tr: float, te: float, agent: float = 0.0) -> float:
    r"""Signal of a spin echo.

    .. math:: S = \rho\,(1 - e^{-TR/T_1'})\,e^{-TE/T_2},\quad
              1/T_1' = 1/T_1 + r_1 c

    `agent` is the concentration :math:`c` of contrast agent in mmol/l.
    """
    t1 = 1 / (1 / tissue.t1 + RELAXIVITY * agent)
    return tissue.density * (1 - np.exp(-tr / t1)) * np.exp(-te / tissue.t2)


def inversion_recovery(tissue: Tissue, tr: float, ti: float, te: float) -> float:
    r"""Magnitude of an inversion-recovery signal (FLAIR).

    .. math:: S = \rho\,|1 - 2e^{-TI/T_1} + e^{-TR/T_1}|\,e^{-TE/T_2}
    """
    recovery = abs(1 - 2 * np.exp(-ti / tissue.t1) + np.exp(-tr / tissue.t1))
    return tissue.density * recovery * np.exp(-te / tissue.t2)


def image_sequences(
    fractions: dict[str, np.ndarray], agent: np.ndarray, timing: Sequences
) -> np.ndarray:
    """Brightness of T1, T1 with contrast agent, T2 and FLAIR.

    A voxel of several tissues sends the sum of their signals (partial volume).

    Parameters
    ----------
    fractions
        Tissue name to its share of each voxel, ``(X, Y, Z)`` float32.
    agent
        Contrast agent in mmol/l, ``(X, Y, Z)`` float32.

    Returns
    -------
    ndarray
        ``(4, X, Y, Z)`` float32 in the order t1, t1ce, t2, flair.
    """
    shape = agent.shape
    out = np.zeros((4, *shape), dtype=np.float32)
    # The signal is a smooth function of the concentration: eight points are enough.
    doses = np.linspace(0, 0.7, 8)
    dose_bin = np.clip(agent / (doses[1] - doses[0]), 0, len(doses) - 1.001)
    low = dose_bin.astype(np.int8)
    share = dose_bin - low
    for name, part in fractions.items():
        tissue = TISSUES[name]
        plain = spin_echo(tissue, timing.t1_tr, timing.t1_te)
        curve = np.array(
            [spin_echo(tissue, timing.t1_tr, timing.t1_te, c) for c in doses], "f4"
        )
        long = spin_echo(tissue, timing.t2_tr, timing.t2_te)
        dark = inversion_recovery(
            tissue, timing.flair_tr, timing.flair_ti, timing.flair_te
        )
        out[0] += np.float32(plain) * part
        # Most tissues are in few voxels; elsewhere nothing would be added.
        there = part != 0
        first, beyond = low[there], share[there]
        enhanced = curve[first] * (1 - beyond) + curve[first + 1] * beyond
        out[1][there] += enhanced * part[there]
        out[2] += np.float32(long) * part
        out[3] += np.float32(dark) * part
    return out
