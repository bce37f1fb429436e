"""Samples that were made elsewhere: the files of other harnesses, read as completions to replay."""

from codebench.sampling.foreign.reading import read_foreign
from codebench.sampling.foreign.samples import ExtractName, ForeignFormat, ForeignSamples

__all__ = ["ExtractName", "ForeignFormat", "ForeignSamples", "read_foreign"]
