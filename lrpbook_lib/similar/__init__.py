"""Cases alike: neighbors on hidden layers, and what makes them neighbors."""

from .agreement import agreement, homogeneity
from .cases import Found, Search, SimilarCases
from .conformal import Support, nonconformity, p_values
from .features import order_kept, pooled, sketched
from .fingerprint import ModelChangedError, fingerprint
from .shares import (
    SHARES,
    block_similarity,
    neighbor_shares,
    pair_shares,
    patient_totals,
)
from .triage import triage
