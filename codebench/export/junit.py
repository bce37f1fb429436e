"""JUnit XML: one suite a run, one case a sample, for the test tab of a CI.

A program that does not do what was asked is a failure; a sample that we could not judge is an
error. No hostname: a report travels.
"""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from codebench.export.order import by_step, label_of
from codebench.export.samples import ExportedSample, Result, samples_of
from codebench.results.model import Results
from codebench.results.reading import Loaded

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_PROGRAM_CHARS = 10_000


def junit(loaded: Sequence[Loaded]) -> bytes:
    """Return the document of some runs.

    Raises:
        UsageError: if a run's samples are not there or cannot be read.
        EnvironmentProblem: if they cannot be read from disk.
    """
    suites = ET.Element("testsuites", name="codebench")
    for one in by_step(loaded):
        suites.append(_suite(one))
    for name in ("tests", "failures", "errors"):
        suites.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    ET.indent(suites)
    document: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(loaded: Loaded) -> ET.Element:
    results = loaded.results
    suite = ET.Element("testsuite", name=_text(f"codebench {label_of(results)}"))
    suite.append(_properties(results))
    counts = dict.fromkeys(Result, 0)
    for sample in samples_of(loaded, "a JUnit report"):
        suite.append(_case(sample))
        counts[sample.result] += 1
    suite.set("tests", str(sum(counts.values())))
    suite.set("failures", str(counts[Result.FAILED]))
    suite.set("errors", str(counts[Result.ERRORED]))
    suite.set("skipped", "0")
    suite.set("time", f"{results.timing.wall_s:.3f}")
    suite.set("timestamp", results.timestamp.removesuffix("Z"))
    return suite


def _properties(results: Results) -> ET.Element:
    values = {
        "run_id": results.run_id,
        "checkpoint": results.checkpoint,
        "step": results.step,
        "compile_success_rate": results.compile_success_rate,
        **{f"pass_at_{k}": value for k, value in results.pass_at_k.items()},
        **{f"warning.{warning.code}": warning.message for warning in results.warnings},
    }
    properties = ET.Element("properties")
    for name, value in values.items():
        if value is not None:
            ET.SubElement(properties, "property", name=_text(name), value=_text(str(value)))
    return properties


def _case(sample: ExportedSample) -> ET.Element:
    took_s = (sample.times.generation_ms + sample.times.compile_ms) / 1000
    case = ET.Element(
        "testcase",
        name=_text(f"{sample.prompt_id}[{sample.index}]"),
        classname=_text(f"{sample.prompt_set}.{sample.prompt_id}"),
        time=f"{took_s:.3f}",
    )
    if sample.result is Result.OK:
        return case
    tag = "failure" if sample.result is Result.FAILED else "error"
    trouble = ET.SubElement(case, tag, message=_text(sample.reason), type=sample.outcome.value)
    trouble.text = _text("\n".join(_explained(sample)))
    out = ET.SubElement(case, "system-out")
    out.text = _text(sample.program[:_MAX_PROGRAM_CHARS])
    return case


def _explained(sample: ExportedSample) -> list[str]:
    """Return the outcome and the compiler's messages, each with its line: GitLab shows no more."""
    lines = [f"{sample.outcome.value}: {sample.reason}"]
    for diagnostic in sample.diagnostics:
        place = f"line {diagnostic.line}: " if diagnostic.line is not None else ""
        lines.append(f"{place}{diagnostic.headline}")
    return lines


def _text(text: str) -> str:
    """Return the text with what XML cannot carry replaced by U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)
