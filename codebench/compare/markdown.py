"""A comparison in Markdown, for a model card or a pull request."""

import re
from collections.abc import Iterator

from codebench.compare import texts
from codebench.compare.model import Comparison, ComparisonReport

_ACTS = re.compile(r"[^\w\s.:,;%+≈↑↓→()/-]|:(?!\s)|//|(?<!\w)_|_(?!\w)|(?<=\w)[.](?=[^\W\d])")


def markdown(report: ComparisonReport) -> str:
    """Return the comparisons as Markdown; foreign text stays text."""
    lines = [*_overview(report)]
    lines += [line for one in report.comparisons for line in _lines(report, one)]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return text that means itself in Markdown and HTML: no link, no mention, no table cell."""
    return _ACTS.sub(lambda match: "".join(f"&#{ord(c)};" for c in match[0]), texts.one_line(text))


def _overview(report: ComparisonReport) -> Iterator[str]:
    rows = list(texts.overview(report))
    if not rows:
        return
    yield f"### Against {escaped(report.base.label)}"
    yield ""
    yield "| run | | n | base | run | change | 95 % interval | p | |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---|"
    for label, samples, row in rows:
        cells = (row.label, samples, row.base, row.other, row.change, row.interval, row.p)
        yield f"| {escaped(label)} | {' | '.join(map(_plain, cells))} | {row.verdict} |"
    yield ""


def _lines(report: ComparisonReport, comparison: Comparison) -> Iterator[str]:
    base, other = escaped(report.base.label), escaped(comparison.other.label)
    yield f"### {other} against {base}"
    yield ""
    yield f"| | {base} | {other} | change | relative | 95 % interval | p | |"
    yield "|---|---:|---:|---:|---:|---:|---:|---|"
    for row in texts.rows(comparison):
        cells = (row.label, row.base, row.other, row.change, row.relative, row.interval, row.p)
        yield f"| {' | '.join(_plain(cell) for cell in cells)} | {row.verdict} |"
    yield ""
    yield f"{report.base.judged} and {comparison.other.judged} samples. " + _plain(
        texts.samples_line(comparison)
    )
    yield ""
    for setting in comparison.settings:
        said = escaped(f"{setting.name}: {setting.base} to {setting.other}")
        yield f"- **changed** {said}" if setting.fatal else f"- changed {said}"
    for line, _ in texts.flips(comparison):
        yield f"- {escaped(line)}"
    for line in texts.codes(comparison):
        yield f"- {escaped(line)}"
    for note in comparison.notes:
        yield f"- note: {escaped(note)}"
    yield ""
    yield _plain(texts.legend(report, comparison))
    yield ""


def _plain(text: str) -> str:
    """Return words of ours: nothing in them needs care but `<`."""
    return text.replace("<", "&lt;")
