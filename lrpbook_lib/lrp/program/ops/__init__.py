"""The rows of the table, and the functions that they write into programs."""

from . import affine, choices, elementwise, moves, norms, pooling, products, sums
