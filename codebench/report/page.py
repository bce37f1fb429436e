"""The page: one HTML file with its style, its script and its data inside.

A strict policy stands in its head: nothing is loaded, only the two inline blocks whose hashes are
named may act, no text may become markup (trusted types). Every text goes through the template's
escaping or into a JSON block, in which nothing can end the element.
"""

import hashlib
from base64 import b64encode
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from codebench import __version__
from codebench.report import headline, matrices
from codebench.report.changes import Change, changes_of
from codebench.report.notices import notices_of
from codebench.report.origin import origin_of
from codebench.report.payload import Embedded, embed_samples, script_json
from codebench.report.runs import Gathered
from codebench.report.trend import trend_of

_STYLES = ("vendor/uPlot.min.css", "assets/style.css", "assets/matrix.css", "assets/browser.css")
_SCRIPTS = (
    "vendor/uPlot.iife.min.js",
    "assets/elements.js",
    "assets/place.js",
    "assets/samples.js",
    "assets/code.js",
    "assets/charts.js",
    "assets/browser.js",
    "assets/diff.js",
    "assets/compare.js",
    "assets/page.js",
)
_LICENCE = "vendor/uPlot.LICENSE"


class Page(NamedTuple):
    """What was made."""

    content: bytes
    samples: Embedded


def render(gathered: Gathered, *, target: float | None, made: str) -> Page:
    """Return the page.

    Args:
        gathered: the runs, lowest step first.
        target: compile rate that is aimed at, percent; drawn as a line.
        made: when the page is made, UTC, ISO 8601.
    """
    runs = gathered.runs
    samples, changes = embed_samples(runs), changes_of(runs)
    style, script = _joined(_STYLES), _script()
    templates = Environment(
        loader=PackageLoader("codebench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    tested = [row for row in matrices.prompt_rows(runs, tests=True) if row.cells]
    text = templates.get_template("page.html.j2").render(
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704 - our own files
        data=Markup(script_json(_data(gathered, target, changes, samples.limit))),  # noqa: S704 - escaped by it
        samples=Markup(samples.json),  # noqa: S704 - escaped by script_json
        embedded=samples,
        version=__version__,
        made=made,
        runs=runs,
        latest=runs[-1],
        rate=headline.rate_of(runs[-1]),
        change=next((one for one in reversed(changes) if one.other == runs[-1].key), None),
        figures=headline.figures_of(runs[-1]),
        notices=notices_of(runs, gathered.broken),
        steps=headline.steps_of(runs),
        outcomes=matrices.outcome_rows(runs),
        codes=matrices.code_rows(runs),
        n_rare_codes=matrices.n_rare_codes(runs),
        prompts=matrices.prompt_rows(runs, tests=False),
        tested=tested,
        origin=origin_of(runs),
    )
    return Page(text.encode(), samples)


def _data(
    gathered: Gathered, target: float | None, changes: list[Change], limit: int
) -> dict[str, object]:
    return {
        "runs": [
            {
                "key": run.key,
                "label": run.label,
                "short": run.short,
                "partial": run.partial,
                "n": None if run.samples is None else len(run.samples),
            }
            for run in gathered.runs
        ],
        "trend": trend_of(gathered.runs, target),
        "changes": [change._asdict() for change in changes],
        "limit": limit,
    }


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _script() -> str:
    return f"/*!\n{_joined((_LICENCE,))}*/\n(() => {{\n'use strict';\n{_joined(_SCRIPTS)}}})();\n"


def _joined(names: tuple[str, ...]) -> str:
    room = files("codebench.report")
    return "".join(f"{(room / name).read_text(encoding='utf-8').strip()}\n" for name in names)
