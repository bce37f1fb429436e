"""results.json: every number worked by hand, every undefined number null, the schema kept."""

import sys
from typing import Any

import jsonschema
import orjson
import pytest
from pydantic import ValidationError

from codebench.analysis.metrics import CodeMetrics
from codebench.extract import Extraction
from codebench.languages.verdict import Diagnostic, DiagnosticLevel, Outcome
from codebench.prompts.model import Language, Prompt, PromptSet
from codebench.results import (
    Aggregator,
    Results,
    RunFacts,
    RunTiming,
    RunWarning,
    results_schema,
)
from codebench.results.tally import BoundedCounter
from codebench.sampling.completion import FinishReason, SamplerTiming, SamplingParams
from codebench.store import (
    CheckpointInfo,
    Environment,
    Manifest,
    PromptSetInfo,
    RunIdentity,
    SampleRecord,
    SampleTimes,
)

SEED_KEYS = [
    "checkpoint",
    "timestamp",
    "total_samples",
    "compile_success_rate",
    "compile_errors",
    "avg_lines",
    "avg_functions",
    "avg_complexity",
    "avg_generation_time_ms",
    "tokens_per_second",
    "samples_by_prompt",
]
SEED_PROMPT_KEYS = [
    "prompt",
    "n_samples",
    "compile_success",
    "avg_lines",
    "common_errors",
    "sample_outputs",
]
OUR_KEYS = [
    "schema_version",
    "metric_version",
    "step",
    "run_id",
    "outcomes",
    "error_codes",
    "warnings_per_sample",
    "intervals",
    "pass_at_k",
    "compile_at_k",
    "languages",
    "diversity",
    "degeneration",
    "similarity",
    "timing",
    "sampling",
    "environment",
    "checkpoint_info",
    "prompt_sets",
    "warnings",
]

ENVIRONMENT = Environment(
    rustc="rustc 1.95.0",
    python="3.11.2",
    image=None,
    sandbox="bubblewrap",
    isolation="namespaces",
    n_slots=2,
    packages={"codebench": "0.1.0"},
    host={"cores": 2},
    git=None,
    sampler={"device": "cpu"},
)
IDENTITY = RunIdentity(
    checkpoint="f00d",
    prompt_sets={"r": "aa", "p": "bb"},
    sampling=SamplingParams(),
    seed=3,
    extract="auto",
)
MANIFEST = Manifest(
    run_id="step_10-0123456789",
    created="2026-11-21T08:00:00Z",
    identity=IDENTITY,
    checkpoint="step_10",
    checkpoint_info=CheckpointInfo(path="x/step_10", format="hf", fingerprint="f00d", step=10),
    prompt_sets=(
        PromptSetInfo(name="r", version="1", language=Language.RUST, n_prompts=2, sha256="aa"),
        PromptSetInfo(name="p", version="1", language=Language.PYTHON, n_prompts=1, sha256="bb"),
    ),
    environment=ENVIRONMENT,
)
SAMPLER_TIMING = SamplerTiming(
    load_s=1,
    prefill_s=0.5,
    decode_s=1.5,
    n_prompt_tokens=30,
    n_generated_tokens=100,
    n_wasted_tokens=7,
)


def _prompt_set(name: str, language: Language, *ids: str) -> PromptSet:
    prompts = tuple(
        Prompt(
            id=id_,
            language=language,
            category="basics",
            item=f"fn {id_}",
            prompt=f"fn {id_}() {{",
            reference="}",
            wrong="}",
            tests=("assert!(true);", "assert!(true);"),
        )
        for id_ in ids
    )
    return PromptSet(
        name=name, version="1", language=language, description="d", prompts=prompts, sha256="aa"
    )


RUST = _prompt_set("r", Language.RUST, "a", "b")
PYTHON = _prompt_set("p", Language.PYTHON, "c")


def _error(message: str, code: str | None = None) -> Diagnostic:
    return Diagnostic(
        level=DiagnosticLevel.ERROR, code=code, message=message, line=None, column=None
    )


def _metrics(lines: int, functions: int | None, complexity: int | None) -> CodeMetrics:
    return CodeMetrics(
        lines=lines, functions=functions, complexity=complexity, items=None, parses=None
    )


def _record(prompt_id: str, index: int, outcome: Outcome, **changes: object) -> SampleRecord:
    rust = prompt_id != "c"
    fields: dict[str, object] = {
        "prompt_set": "r" if rust else "p",
        "prompt_id": prompt_id,
        "language": Language.RUST if rust else Language.PYTHON,
        "index": index,
        "seed": 1,
        "prompt": "fn a() {",
        "completion": f"{index} }}",
        "finish_reason": FinishReason.BALANCED,
        "n_tokens": 3,
        "extraction": Extraction.CONTINUATION_BALANCED,
        "program": f"fn {prompt_id}() {{ {index} }}",
        "outcome": outcome,
        "metrics": _metrics(1, 1, 1),
        "times": SampleTimes(generation_ms=10, compile_ms=50, queue_ms=0),
    }
    return SampleRecord.model_validate({**fields, **changes})


def _facts(n_samples: int, **changes: Any) -> RunFacts:  # noqa: ANN401 - any field of RunFacts
    timing = RunTiming(
        wall_s=10,
        startup_s=3,
        compiling_s=4,
        queue_s=0.25,
        n_resumed_samples=0,
        sampler=SAMPLER_TIMING,
    ).results()
    fields: dict[str, Any] = {
        "timestamp": "2026-11-21T08:10:00Z",
        "n_samples": n_samples,
        "environment": ENVIRONMENT,
        "timing": timing,
    }
    return RunFacts(**{**fields, **changes})


def _results(*records: SampleRecord, n_samples: int | None = None, tests: bool = False) -> Results:
    aggregator = Aggregator([RUST, PYTHON], runs_tests=tests)
    for record in records:
        assert aggregator.add(record)
    return aggregator.finish(MANIFEST, _facts(len(records) if n_samples is None else n_samples))


SIX = (
    _record(
        "a",
        0,
        Outcome.COMPILED,
        n_warnings=3,
        metrics=_metrics(2, 3, 5),
    ),
    _record(
        "a",
        1,
        Outcome.COMPILE_ERROR,
        diagnostics=(
            _error("mismatched types", "E0308"),
            _error("mismatched types", "E0308"),
            _error("unclosed delimiter"),
            _error("aborting due to 3 previous errors"),
        ),
    ),
    _record("a", 2, Outcome.VACUOUS, metrics=_metrics(0, 0, None)),
    _record("b", 0, Outcome.COMPILE_ERROR, diagnostics=(_error("cannot find value `x`", "E0425"),)),
    _record(
        "b",
        1,
        Outcome.COMPILE_ERROR,
        diagnostics=(_error("mismatched types", "E0308"),),
        finish_reason=FinishReason.LENGTH,
    ),
    _record("c", 0, Outcome.COMPILED, completion=" \n", program="fn c() {}"),
)


def test_rates_by_hand() -> None:
    """Of six judged samples two compile: 33.3 percent; Rust 1 of 5, Python 1 of 1."""
    results = _results(*SIX)
    assert (results.total_samples, results.judged, results.compiled) == (6, 6, 2)
    assert results.compile_success_rate == pytest.approx(100 / 3)
    assert results.outcomes == {"compiled": 2, "compile_error": 3, "vacuous": 1}
    assert list(results.languages) == ["rust", "python"]
    assert results.languages["rust"].compile_success_rate == 20.0
    assert results.languages["python"].compile_success_rate == 100.0
    assert [p.compile_success_rate for p in results.samples_by_prompt] == [
        pytest.approx(100 / 3),
        0.0,
        100.0,
    ]
    assert [p.compile_success for p in results.samples_by_prompt] == [1, 0, 1]
    assert [p.id for p in results.samples_by_prompt] == ["a", "b", "c"]


def test_means_by_hand() -> None:
    """Means are over the samples that have the number; what could not be analysed is left out."""
    results = _results(*SIX)
    assert results.avg_lines == pytest.approx((2 + 1 + 0 + 1 + 1 + 1) / 6)
    assert results.avg_functions == pytest.approx((3 + 1 + 0 + 1 + 1 + 1) / 6)
    assert results.avg_complexity == pytest.approx((5 + 1 + 1 + 1 + 1) / 5)
    assert results.avg_generation_time_ms == 10
    assert results.warnings_per_sample == 0.5
    assert results.samples_by_prompt[0].avg_complexity == 3


def test_errors_are_counted_by_sample_most_frequent_first() -> None:
    """A message counts once a sample, ties are alphabetical, and "aborting due to" never counts."""
    results = _results(*SIX)
    assert results.compile_errors == (
        "error[E0308]: mismatched types",
        "error: unclosed delimiter",
        "error[E0425]: cannot find value `x`",
    )
    assert results.error_codes == {"E0308": 2, "E0425": 1}
    assert list(results.error_codes) == ["E0308", "E0425"]
    assert results.samples_by_prompt[1].common_errors == (
        "error[E0308]: mismatched types",
        "error[E0425]: cannot find value `x`",
    )
    assert results.samples_by_prompt[2].common_errors == ()


def test_a_warning_of_the_compiler_is_no_error() -> None:
    """Only errors are listed as errors."""
    warning = Diagnostic(
        level=DiagnosticLevel.WARNING, code="dead_code", message="unused", line=1, column=1
    )
    results = _results(_record("a", 0, Outcome.COMPILED, diagnostics=(warning,), n_warnings=1))
    assert results.compile_errors == ()
    assert results.error_codes == {}


def test_intervals_by_hand() -> None:
    """1 of 4 has Wilson 4.6 to 69.9 percent; rates 1/2 and 0/2 a clustered one that is clipped."""
    outcomes = [Outcome.COMPILED, Outcome.COMPILE_ERROR]
    records = [_record("a", i, outcome) for i, outcome in enumerate(outcomes)]
    records += [_record("b", i, Outcome.COMPILE_ERROR) for i in range(2)]
    intervals = _results(*records).intervals.compile_success_rate
    assert intervals.wilson is not None
    assert (round(intervals.wilson.low, 1), round(intervals.wilson.high, 1)) == (4.6, 69.9)
    assert intervals.wilson.confidence == 0.95
    assert intervals.clustered is not None
    assert (intervals.clustered.low, intervals.clustered.high) == (0.0, 100.0)
    assert intervals.clustered.meaning != intervals.wilson.meaning


def test_an_infra_error_leaves_the_denominator() -> None:
    """What we failed to judge is shown and warned of, and lowers no rate."""
    failed = _record("a", 1, Outcome.INFRA_ERROR, error="slot died", diagnostics=(_error("x"),))
    results = _results(_record("a", 0, Outcome.COMPILED), failed)
    assert (results.total_samples, results.judged) == (2, 1)
    assert results.compile_success_rate == 100.0
    assert results.outcomes == {"compiled": 1, "infra_error": 1}
    assert results.compile_errors == ()
    assert results.warnings[0].code == "infra_errors"
    assert "1 of 2 samples" in results.warnings[0].message
    assert "would be 50.0" in results.warnings[0].message


def test_a_program_that_ends_badly_stays_in_the_denominator() -> None:
    """Every outcome but infra_error is judged, and those after the compiler have compiled."""
    results = _results(*(_record("a", i, outcome) for i, outcome in enumerate(Outcome)))
    assert results.judged == len(Outcome) - 1
    assert results.compiled == 8
    assert set(results.outcomes) == {outcome.value for outcome in Outcome}


def test_without_samples_everything_is_null_beside_its_counts() -> None:
    """No sample: valid JSON, no rate, no mean, no interval, and never 0 in their place."""
    results = _results(n_samples=3)
    assert (results.total_samples, results.judged) == (0, 0)
    nulls = orjson.loads(results.to_json())
    for key in ("compile_success_rate", "avg_lines", "avg_functions", "avg_complexity"):
        assert nulls[key] is None
    assert nulls["avg_generation_time_ms"] is None
    assert nulls["warnings_per_sample"] is None
    assert nulls["intervals"]["compile_success_rate"] == {"wilson": None, "clustered": None}
    assert nulls["diversity"] == {
        "unique_programs": 0,
        "unique_share": None,
        "unique_shapes": None,
        "unique_shapes_share": None,
        "likeness_in_prompt": None,
        "distinct_n": {},
        "vocabulary": None,
    }
    assert nulls["similarity"] == {"n_compared": 0, "ast_similarity": None, "word_overlap": None}
    degeneration = nulls["degeneration"]
    for key in ("repetitive_share", "most_frequent_text", "median_compression", "broken_share"):
        assert degeneration[key] is None
    assert (degeneration["collapse"], degeneration["repeated"]) == ([], [])
    assert (nulls["compile_at_k"], nulls["pass_at_k"]) == ({}, {})
    assert nulls["samples_by_prompt"][0]["compile_success_rate"] is None
    assert [warning["code"] for warning in nulls["warnings"]] == ["partial"]


def test_only_infra_errors_give_no_rate() -> None:
    """When nothing was judged there is no rate, however many samples there are."""
    results = _results(_record("a", 0, Outcome.INFRA_ERROR))
    assert results.compile_success_rate is None
    assert results.avg_lines == 1


def test_a_run_that_never_compiles_has_the_rate_0() -> None:
    """0 percent is a number, with its interval."""
    results = _results(_record("a", 0, Outcome.COMPILE_ERROR))
    assert results.compile_success_rate == 0.0
    assert results.intervals.compile_success_rate.wilson is not None


def test_compile_at_k_is_left_out_where_a_prompt_has_fewer_samples() -> None:
    """Prompt a has 10 samples with 1 right, b only 9: compile@1 is a mean, compile@10 is out."""
    records = [_record("a", 0, Outcome.COMPILED)]
    records += [_record("a", i, Outcome.COMPILE_ERROR) for i in range(1, 10)]
    records += [_record("b", i, Outcome.COMPILED) for i in range(9)]
    results = _results(*records)
    assert results.compile_at_k == {"1": pytest.approx((0.1 + 1) / 2)}
    assert results.samples_by_prompt[0].compile_at_k == {"1": pytest.approx(0.1), "10": 1.0}
    assert results.samples_by_prompt[1].compile_at_k == {"1": 1.0}
    assert results.samples_by_prompt[2].compile_at_k == {}


def test_pass_at_k_needs_tests_that_ran() -> None:
    """A run without tests says nothing about passing; with tests, a program that fails counts."""
    records = (_record("a", 0, Outcome.COMPILED), _record("a", 1, Outcome.COMPILE_ERROR))
    without = _results(*records)
    assert without.pass_at_k == {}
    assert without.samples_by_prompt[0].tests is None
    tested = _results(
        _record("a", 0, Outcome.PASSED),
        _record("a", 1, Outcome.FAILED_TESTS),
        _record("b", 0, Outcome.COMPILE_ERROR),
        tests=True,
    )
    assert tested.pass_at_k == {"1": 0.25}
    assert tested.compile_at_k == {"1": 0.5}
    tests = tested.samples_by_prompt[0].tests
    assert tests is not None
    assert (tests.n_tests, tests.judged, tests.passed, tests.pass_rate) == (2, 2, 1, 50.0)


def test_degeneration_and_diversity_by_hand() -> None:
    """Cut-off, repeating and empty completions are counted; equal programs count once."""
    results = _results(
        *SIX, _record("a", 3, Outcome.COMPILE_ERROR, finish_reason=FinishReason.REPETITION)
    )
    degeneration = results.degeneration
    assert (degeneration.n_truncated, degeneration.n_repetition, degeneration.n_empty) == (1, 1, 1)
    assert degeneration.truncated_share == pytest.approx(1 / 7)
    same = [_record("a", i, Outcome.COMPILED, program="fn a() {}") for i in range(3)]
    assert _results(*same).diversity.unique_programs == 1
    assert _results(*same).diversity.unique_share == pytest.approx(1 / 3)


def test_lints_by_hand() -> None:
    """Lints are counted by program, over the programs that clippy looked at, and no others."""
    lints: tuple[dict[str, int] | None, ...] = (
        {"needless_return": 2, "ptr_arg": 1},
        {},
        {"ptr_arg": 1},
        None,
    )
    records = [
        _record("a", index, Outcome.COMPILED, lints=found) for index, found in enumerate(lints)
    ]
    clippy = _results(*records).clippy
    assert clippy is not None
    assert (clippy.n_checked, clippy.n_clean) == (3, 1)
    assert clippy.clean_rate == pytest.approx(100 / 3)
    assert clippy.lints_per_sample == pytest.approx(4 / 3)
    assert list(clippy.lints.items()) == [("ptr_arg", 2), ("needless_return", 1)]
    assert _results(*SIX).clippy is None


def test_sample_outputs_are_the_first_by_index_and_cut() -> None:
    """Whatever the order of arrival, the first three are shown, 2000 characters each."""
    indices = (4, 2, 0, 3, 1)
    records = [_record("a", i, Outcome.COMPILED, completion=f"{i}" * 3000) for i in indices]
    outputs = _results(*records).samples_by_prompt[0].sample_outputs
    assert [output[0] for output in outputs] == ["0", "1", "2"]
    assert {len(output) for output in outputs} == {2000}


def test_the_order_of_records_does_not_matter() -> None:
    """A resumed run, whose records come in another order, gives the same results."""
    assert _results(*SIX) == _results(*reversed(SIX))


def test_timing_by_hand() -> None:
    """100 tokens in 0.5 s + 1.5 s are 50 a second; the rest of 10 s after 3 s start-up is 5 s."""
    results = _results(*SIX)
    assert results.tokens_per_second == 50
    assert (results.timing.sampling_s, results.timing.other_s) == (2, 5)
    assert results.timing.n_wasted_tokens == 7


def test_a_resumed_run_with_nothing_to_draw_has_no_token_rate() -> None:
    """Without a sampler there is no tokens_per_second, rather than 0."""
    timing = RunTiming(
        wall_s=1, startup_s=0.5, compiling_s=0, queue_s=0, n_resumed_samples=6, sampler=None
    ).results()
    aggregator = Aggregator([RUST, PYTHON])
    results = aggregator.finish(MANIFEST, _facts(0, timing=timing))
    assert results.tokens_per_second is None
    assert results.timing.n_resumed_samples == 6


def test_warnings_say_what_a_reader_must_know() -> None:
    """Few samples, an ended run, another compiler on resume, and the loop's own warnings."""
    aggregator = Aggregator([RUST, PYTHON])
    aggregator.add(SIX[0])
    other = ENVIRONMENT.model_copy(update={"rustc": "rustc 1.96.0"})
    own = RunWarning(code="cpu", message="no GPU")
    facts = _facts(2, stopped_by="--timeout 30min", environment=other, warnings=(own,))
    results = aggregator.finish(MANIFEST, facts)
    messages = {warning.code: warning.message for warning in results.warnings}
    assert list(messages) == ["cpu", "few_samples", "partial", "environment_changed"]
    assert "2 samples over 3 prompts" in messages["few_samples"]
    assert "1 of 2 samples, ended by --timeout 30min" in messages["partial"]
    assert "another rustc;" in messages["environment_changed"]
    assert _results(*SIX).warnings == ()


def test_a_sample_of_a_prompt_that_is_not_asked_is_not_counted() -> None:
    """After a smaller --limit the other prompts' samples stay on disk and out of the results."""
    aggregator = Aggregator([_prompt_set("r", Language.RUST, "a")])
    assert aggregator.add(SIX[0])
    assert not aggregator.add(SIX[3])
    assert not aggregator.add(SIX[5])
    assert aggregator.finish(MANIFEST, _facts(1)).total_samples == 1


def test_results_json_has_every_key_of_the_contract() -> None:
    """The seed's keys and ours are there, the rate is a number, and the text is UTF-8 JSON."""
    content = _results(*SIX).to_json()
    assert content.endswith(b"}\n")
    fields = orjson.loads(content)
    assert set(SEED_KEYS + OUR_KEYS) <= set(fields)
    assert list(fields)[: len(SEED_KEYS)] == SEED_KEYS
    for prompt in fields["samples_by_prompt"]:
        assert list(prompt)[: len(SEED_PROMPT_KEYS)] == SEED_PROMPT_KEYS
    assert isinstance(fields["compile_success_rate"], float)
    assert fields["timestamp"].endswith("Z")
    assert b"NaN" not in content


@pytest.mark.parametrize("records", [SIX, SIX[:1], ()])
def test_the_schema_accepts_the_results(records: tuple[SampleRecord, ...]) -> None:
    """What we write validates against the schema that we give out, and reads back equal."""
    results = _results(*records)
    schema = results_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(orjson.loads(results.to_json()))
    assert Results.model_validate_json(results.to_json()) == results


def test_the_schema_rejects_what_the_contract_forbids() -> None:
    """A missing key, a rate as text and an unknown key are caught."""
    validator = jsonschema.Draft202012Validator(results_schema())
    fields = orjson.loads(_results(*SIX).to_json())
    missing = {key: value for key, value in fields.items() if key != "compile_success_rate"}
    for wrong in (missing, {**fields, "compile_success_rate": "45%"}, {**fields, "surprise": 1}):
        assert not validator.is_valid(wrong)


def _numbers(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    models = {"Results": schema, **schema["$defs"]}
    return {
        f"{model}.{name}": field
        for model, part in models.items()
        for name, field in part.get("properties", {}).items()
    }


def test_every_field_of_the_schema_is_described() -> None:
    """The schema says of each field what it is, and of each number its unit."""
    schema: dict[str, Any] = results_schema()
    units = {
        "_rate": "percent 0-100",
        "_share": "0-1",
        "_at_k": "0-1",
        "_s": "seconds",
        "_ms": "milliseconds",
    }
    for name, field in _numbers(schema).items():
        described = field.get("description", "")
        assert described, name
        for ending, unit in units.items():
            if name.endswith(ending) and not name.startswith("Intervals."):
                assert unit in described, name


def test_a_number_that_is_no_number_never_gets_out() -> None:
    """NaN and infinity are refused where results are made."""
    fields = _results(*SIX).model_dump()
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            Results.model_validate({**fields, "compile_success_rate": value})


def test_results_survive_odd_texts() -> None:
    """Lone surrogates, control characters and markup in model text give valid JSON."""
    odd = _record(
        "a",
        0,
        Outcome.COMPILE_ERROR,
        completion="\ud800\x00<script>\x1b[31m",
        program="\udfff",
        diagnostics=(_error("bad \udc80"),),
    )
    fields = orjson.loads(_results(odd).to_json())
    assert fields["samples_by_prompt"][0]["sample_outputs"] == ["\ufffd\x00<script>\x1b[31m"]
    assert fields["compile_errors"] == ["error: bad \ufffd"]


def _deep_size(value: object) -> int:
    """Bytes of an object and everything that it holds."""
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        size += sum(_deep_size(k) + _deep_size(v) for k, v in value.items())
    elif isinstance(value, list | tuple | set):
        size += sum(map(_deep_size, value))
    for name in getattr(value, "__slots__", ()):
        size += _deep_size(getattr(value, name))
    return size + (_deep_size(vars(value)) if hasattr(value, "__dict__") else 0)


def test_memory_does_not_grow_with_the_samples() -> None:
    """Ten thousand samples, each with its own error, keep what two thousand keep, plus hashes."""
    aggregator = Aggregator([RUST])
    sizes = []
    for index in range(10_000):
        error = _error(f"cannot find `{index:05}`", "E0425")
        aggregator.add(_record("a", index, Outcome.COMPILE_ERROR, diagnostics=(error,)))
        if index in (1_999, 9_999):
            hashes = (aggregator._quality._programs, aggregator._quality._shapes)
            sizes.append(_deep_size(aggregator) - sum(map(_deep_size, hashes)))
            assert sum(map(sys.getsizeof, hashes)) < 128 * index
    assert sizes[1] < sizes[0] * 1.1


def test_a_bounded_counter_keeps_what_is_frequent() -> None:
    """A text that comes often outlives any number of texts that come once."""
    counter = BoundedCounter(10)
    for index in range(1000):
        counter.add(f"once {index}")
        if index % 2:
            counter.add("often")
        assert len(counter) <= 10
    assert next(iter(counter.ranked().items())) == ("often", 500)
