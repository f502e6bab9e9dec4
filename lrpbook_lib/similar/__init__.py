"""Cases alike: neighbors on hidden layers, and what makes them neighbors."""

from .agreement import agreement, homogeneity
from .atlas import ModelChangedError, SimilarCases, fingerprint
from .conformal import Found, Support, nonconformity, p_values
from .features import order_kept, pooled
from .search import Search
from .shares import (
    SHARES,
    block_similarity,
    neighbor_shares,
    pair_shares,
    patient_totals,
)
from .triage import triage
