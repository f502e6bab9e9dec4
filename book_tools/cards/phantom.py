"""The data card: what a phantom is and is not, from its manifest."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

_KNOBS = {
    "patients": "size of the cohort",
    "seed": "every random choice follows from it",
    "difficulty": "0: the grades look different; 1: they nearly overlap",
    "confounding": "1: site goes with grade as in BraTS; 0: it says nothing",
    "site_strength": "how much the scanners differ; 0: not at all",
    "ventricle_confounding": "mm by which HGG ventricles are wider; 0: none",
    "lgg_fraction": "share of LGG patients",
    "mixed_fraction": "share of patients at sites that treat both grades",
    "spacing": "edge of the voxels, mm",
    "extra_mixed": "further patients at the sites that treat both grades",
    "twins": "people drawn with either grade at each site, instead of the patients",
}


def data_card(manifest: Mapping[str, Any]) -> str:
    """A data card in Markdown.

    Parameters
    ----------
    manifest
        From :func:`~lrpbook_lib.data.read_manifest`.
    """
    settings, cases = manifest["settings"], manifest["cases"]
    if not cases:
        raise ValueError("the manifest lists no case: finish make_phantom first")
    knobs = "\n".join(
        f"| `{name}` | {value:g} | {_KNOBS[name]} |" for name, value in settings.items()
    )
    return f"""\
**This cohort is synthetic.** Every image was computed; no voxel was measured in a
patient. It is for teaching and for testing methods, and not for clinical use.

| | |
|---|---|
| Patients | {len(cases)} ({_counts(c["grade"] for c in cases.values())}) |
| Sites | {_counts(c["site"] for c in cases.values())} |
| Sequences | {", ".join(manifest["sequences"])}, and a label map |
| Labels | {"; ".join(f"{k} {v}" for k, v in manifest["labels"].items())} |
| Voxels | {settings["spacing"]:g} mm, cubic; axes to the left, to the back, up |
| Made by | lrpbook_lib {manifest["library"]}, recipe {manifest["recipe"]} |
| Settings hash | `{manifest["hash"]}` |

**The knobs**

| knob | here | meaning |
|---|---|---|
{knobs}

**The tumors, in milliliters (median, and the middle nine tenths)**

{_volumes(cases)}

**How it was made**

1. **Anatomy.** The gray and white matter maps of the MNI152 average brain (ICBM 152
   nonlinear 2009a, copyright 1993-2004 Louis Collins, McConnell Brain Imaging Centre,
   Montreal Neurological Institute, McGill University, from the nilearn package) are
   rotated, scaled and smoothly deformed for each patient; ventricles vary.
2. **Tumor.** A hidden malignancy, one normal distribution a grade, decides necrosis,
   enhancement, edema, border and mass effect, each with noise of its own. Edema spreads
   along white matter.
3. **Contrast.** Spin-echo and inversion-recovery equations turn T1, T2 and proton
   density of each tissue into T1, T1 with contrast agent, T2 and FLAIR.
4. **Scanner.** Each site has timing, gain, response, coil bias, noise, blur and slice
   thickness of its own; motion and ghosting happen now and then.

**What it cannot teach**

- **Nothing about patients.** All heads are one average brain, bent. There is no age,
  no history, no treatment, no second disease, and no skull.
- **Nothing about gliomas that was not put in.** What separates the grades here was
  decided by the authors; a model that does well has found those decisions.
- **No accuracy that carries over.** Difficulty is a knob. Accuracies on this cohort
  compare methods with each other, and predict nothing about real data.
- **No fine detail.** Voxels of {settings["spacing"]:g} mm hide what is smaller, and the
  noise is simpler than a scanner's.
"""


def _counts(values) -> str:
    counts = sorted(Counter(values).items())
    return ", ".join(f"{name} {n}" for name, n in counts)


def _volumes(cases: Mapping[str, Any]) -> str:
    lines = ["| | core | edema | enhancing |", "|---|---|---|---|"]
    for grade in ("LGG", "HGG"):
        mine = [c["volume_ml"] for c in cases.values() if c["grade"] == grade]
        if mine:
            cells = []
            for part in ("core", "edema", "enhancing"):
                low, middle, high = np.quantile(
                    [v[part] for v in mine], (0.05, 0.5, 0.95)
                )
                cells.append(f"{middle:.1f} ({low:.1f} to {high:.1f})")
            lines.append(f"| {grade} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
