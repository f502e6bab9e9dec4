"""Does a network use what its heatmap shows? Several tests, and never one number."""

from .asking import audit, middle_slices
from .report import AuditReport
