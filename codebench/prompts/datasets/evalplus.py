"""HumanEval+ and MBPP+ of EvalPlus: the same tasks, many more inputs.

Keys: task_id ("HumanEval/0", "Mbpp/2"), prompt, entry_point, canonical_solution (the body; the
whole function in MBPP+, whose prompt is a docstring), base_input and plus_input (lists of argument
lists), atol, contract (what inputs must hold; nothing to us). HumanEval+ v0.1.10 has 164 tasks,
MBPP+ v0.2.0 has 378. JSON has neither tuples nor sets nor complex numbers: for the tasks of MBPP+
in `_SHAPES` EvalPlus makes them from lists when it reads the file, and so do we.

One input is one test: the expected answer comes from the reference, in the checker
(`evalplus_oracle.py`). Base inputs come first.

Sources: evalplus/evalplus, `evalplus/data/` and `evalplus/eval/` (Apache-2.0); Liu et al. 2023,
arXiv:2305.01210.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from codebench.prompts.datasets import evalplus_oracle
from codebench.prompts.datasets.humaneval import python_entry
from codebench.prompts.datasets.imported import Imported
from codebench.prompts.datasets.python_source import source_of
from codebench.prompts.datasets.rows import Row
from codebench.prompts.model import Language, Prompt

Arguments = list[object]


def read_evalplus(rows: Sequence[Row]) -> Imported:
    """Return the tasks as prompts.

    Raises:
        UsageError: if a row breaks the format.
    """
    oracle = Path(evalplus_oracle.__file__).read_text(encoding="utf-8")
    return Imported(prompts=tuple(_prompt(row, oracle) for row in rows))


def _prompt(row: Row, oracle: str) -> Prompt:
    task_id = row.text("task_id")
    task_set, _, number = task_id.partition("/")
    whole = task_set.lower() == "mbpp"
    name = row.text("entry_point") if whole else python_entry(row)
    prompt, solution = row.text("prompt"), row.text("canonical_solution")
    kind = "mbpp" if whole else "humaneval"
    known = (kind, prompt + solution, name, row.number("atol"))
    inputs = [_arguments(row, key, i) for key in _INPUTS for i in range(len(row.entries(key)))]
    shape = _SHAPES.get(int(number)) if whole and number.isdecimal() else None
    if shape is not None:
        inputs = [_shaped(row, shape, arguments) for arguments in inputs]
    head = f"def {name}(*arguments):\n" if whole else ""
    return Prompt(
        id=task_id,
        language=Language.PYTHON,
        category=f"{kind}+",
        item=f"def {name}",
        prompt=prompt,
        reference=solution,
        wrong=f"{head}    raise NotImplementedError\n",  # `are_equivalent` may answer anything
        tests=tuple(_test(name, arguments) for arguments in inputs),
        setup=f"{oracle}\n\noracle = Oracle{known!r}\n",
    )


_INPUTS = ("base_input", "plus_input")


def _arguments(row: Row, key: str, number: int) -> Arguments:
    arguments = row.entries(key)[number]
    if not isinstance(arguments, list):
        row.wrong(f"{key}[{number}]", "is not a list of arguments")
    return arguments


def _test(name: str, arguments: Arguments) -> str:
    return (
        f"arguments = {source_of(arguments)}\n"
        f"got = {name}(*copy.deepcopy(arguments))\n"
        "assert got == oracle.wanted(got, arguments)"
    )


def _shaped(row: Row, shape: Callable[[Arguments], Arguments], arguments: Arguments) -> Arguments:
    try:
        return shape(arguments)
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        row.wrong("plus_input", f"has not the shape that MBPP+ has for this task ({error})")


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _tuples(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("a list is expected")
    return [_tuple(part) for part in value]


def _deep(value: object) -> object:
    return tuple(map(_deep, value)) if isinstance(value, list) else value


def _sets(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("a list is expected")
    return [set(part) if isinstance(part, list) and part else {} for part in value]


def _values(value: object) -> dict[object, object]:
    if not isinstance(value, dict):
        raise TypeError("an object is expected")
    return {key: _tuple(part) for key, part in value.items()}


# fmt: off
_TUPLES = (
    2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726,
    740, 744, 809,
)
# fmt: on
_SHAPES: Mapping[int, Callable[[Arguments], Arguments]] = {
    **dict.fromkeys(
        _TUPLES,
        lambda arguments: [_tuple(part) for part in arguments],
    ),
    **dict.fromkeys(
        (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780),
        lambda arguments: [_tuples(part) for part in arguments],
    ),
    **dict.fromkeys((75, 413, 444, 753), lambda arguments: [_tuples(arguments[0]), *arguments[1:]]),
    **dict.fromkeys(
        (106, 750), lambda arguments: [arguments[0], _tuple(arguments[1]), *arguments[2:]]
    ),
    **dict.fromkeys(
        (250, 307, 405, 446, 617, 720, 763, 808),
        lambda arguments: [_tuple(arguments[0]), *arguments[1:]],
    ),
    **dict.fromkeys(
        (259, 278, 401, 445), lambda arguments: [tuple(_tuples(part)) for part in arguments]
    ),
    **dict.fromkeys((580, 615, 791), lambda arguments: [_deep(part) for part in arguments]),
    115: lambda arguments: [_sets(arguments[0])],
    124: lambda arguments: [float(str(arguments[0])), complex(str(arguments[1]))],
    252: lambda arguments: [complex(str(arguments[0]))],
    722: lambda arguments: [_values(arguments[0]), *arguments[1:]],
}
"""How the arguments of a task of MBPP+ are made from what JSON holds, by its number."""
