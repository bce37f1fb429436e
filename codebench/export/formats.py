"""The formats of `codebench export`, by name: the place for a new one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from codebench.export.github import github_summary
from codebench.export.huggingface import eval_results, model_index
from codebench.export.junit import junit
from codebench.export.lm_eval import lm_eval
from codebench.export.plot import png, svg
from codebench.export.predictions import predictions
from codebench.export.readme import readme_section
from codebench.export.summary_csv import summary_csv
from codebench.results.reading import Loaded


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file."""

    write: Callable[[Sequence[Loaded]], bytes]
    """The content of the file for some runs, at least one.

    Raises a CodebenchError where the runs do not have what it needs."""

    is_text: bool = True
    """Whether it can be shown in a terminal."""


FORMATS: Mapping[str, Format] = {
    "csv": Format(summary_csv),
    "junit": Format(junit),
    "png": Format(png, is_text=False),
    "svg": Format(svg),
    "predictions": Format(predictions),
    "github": Format(github_summary),
    "readme": Format(readme_section),
    "hf-model-index": Format(model_index),
    "hf-eval-results": Format(eval_results),
    "lm-eval": Format(lm_eval),
}
