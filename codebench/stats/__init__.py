"""The statistics room: counts in, numbers and their uncertainty out; fractions of 1 everywhere.

What a run needs is named here and pure Python. `comparison` and `power` answer questions about two
runs; they import scipy and statsmodels inside their functions.
"""

from codebench.stats.at_k import pass_at_k
from codebench.stats.intervals import (
    Bounds,
    Count,
    clustered_interval,
    t_quantile,
    wilson_interval,
)

__all__ = ["Bounds", "Count", "clustered_interval", "pass_at_k", "t_quantile", "wilson_interval"]
