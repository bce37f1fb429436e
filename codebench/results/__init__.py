"""The results room: records in, results.json out."""

from codebench.results.aggregate import Aggregator
from codebench.results.facts import RunFacts, RunTiming
from codebench.results.model import Results, results_schema
from codebench.results.parts import RunWarning

__all__ = ["Aggregator", "Results", "RunFacts", "RunTiming", "RunWarning", "results_schema"]
