"""How a model writes: repetition, collapse, diversity and likeness, worked by hand."""

import random
from collections.abc import Callable
from itertools import islice

import pytest
import tree_sitter_python
import tree_sitter_rust
from rapidfuzz.distance import Levenshtein
from tree_sitter import Language, Parser

from codebench.analysis.client import Analyzer
from codebench.analysis.metrics import CodeMetrics
from codebench.analysis.shape import MAX_NODES, shape
from codebench.extract import Extraction
from codebench.languages.verdict import Outcome
from codebench.prompts import load_prompt_set
from codebench.prompts.model import Language as ProgramLanguage
from codebench.prompts.model import Prompt
from codebench.quality.collapse import Evidence, Sign, describe, signs_of
from codebench.quality.hash_sample import HashSample
from codebench.quality.likeness import mean_likeness, shape_likeness
from codebench.quality.repetition import compression_ratio, escaped, repeated_in
from codebench.quality.words import distinct_n, word_overlap, words_of
from codebench.results.quality import N_COMPARED, PromptQuality, RunQuality, ShapeOf
from codebench.sampling.completion import FinishReason
from codebench.store.record import SampleRecord, SampleTimes

RUST = Language(tree_sitter_rust.language())
PYTHON = Language(tree_sitter_python.language())
BASICS = load_prompt_set("rust-basics").prompts

HEALTHY = Evidence(
    total=100,
    n_repetitive=3,
    repeated=(("0 ,", 3),),
    n_empty=1,
    n_endless=10,
    max_tokens=200,
    one_text=("}", 9),
    most_of_a_prompt=7,
    median_distinct_words=18,
    reference_distinct_words=20,
    n_whole=90,
    n_broken=30,
)


def _shape(source: str, written_from: int = 0, grammar: Language = RUST) -> str:
    return shape(Parser(grammar).parse(source.encode()).root_node, written_from=written_from)


def _changed(**changes: object) -> Evidence:
    fields = {name: getattr(HEALTHY, name) for name in HEALTHY.__slots__}
    return Evidence(**{**fields, **changes})


def test_words_are_the_same_for_every_tokenizer() -> None:
    """Names, numbers and single characters are words; white space is none."""
    assert words_of("let x_1 = vec![10];\n") == ["let", "x_1", "=", "vec", "!", "[", "10", "]", ";"]
    assert words_of(" \n\t") == []


def test_distinct_n_by_hand() -> None:
    """`a b a b` has two distinct bigrams of three; over two texts the grams are pooled."""
    assert distinct_n([["a", "b", "a", "b"]], 2) == pytest.approx(2 / 3)
    assert distinct_n([["a", "b"], ["a", "b"], ["a"]], 1) == pytest.approx(2 / 5)
    assert distinct_n([["a"], []], 2) is None


def test_word_overlap_by_hand() -> None:
    """Words count as often as they come: `a a b` and `a b b c` share a and b, 2*2/7."""
    assert word_overlap(["a", "a", "b"], ["a", "b", "b", "c"]) == pytest.approx(4 / 7)
    assert word_overlap(["a"], ["a"]) == 1
    assert word_overlap(["a"], []) == 0
    assert word_overlap([], []) is None


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        (" {" * 100, "{"),
        ("{ { {\n" * 20, "{"),
        ("    let x = 1;\n" * 20, "let x = 1 ;"),
        ("= 1; let x " * 20, "let x = 1 ;"),
        ("a" * 200, "a"),
        ("\n" * 90, "\n"),
        ("ab" * 100, "ab"),
        ("fn main() {\n    let v = vec![1, 2];\n" + "}\n" * 300, "}"),
        ("}{)" + "".join(random.Random(1).choices("{}{{", k=400)), "{"),
    ],
)
def test_a_loop_is_named(text: str, repeated: str) -> None:
    """What comes again and again is named, wherever the loop begins and whatever stands before."""
    assert repeated_in(text) == repeated


@pytest.mark.parametrize("prompt", BASICS, ids=lambda prompt: prompt.id)
def test_honest_code_does_not_repeat_itself(prompt: Prompt) -> None:
    """No reference of the default prompts is taken for a loop."""
    assert repeated_in(prompt.reference or "") is None


@pytest.mark.parametrize(
    "text", ["", "}", "{ { {", "n * 2\n}", "vec![0, 0, 0, 0, 0, 0]\n}", "return return return"]
)
def test_a_short_text_is_no_loop(text: str) -> None:
    """A few equal words are code or a slip, not a loop."""
    assert repeated_in(text) is None


def test_compression_as_measured() -> None:
    """A hundred braces shrink 8 times, as the survey measured; nothing has no ratio."""
    assert compression_ratio("{" * 100) == pytest.approx(8.33, abs=0.01)
    assert compression_ratio("") is None
    assert compression_ratio("\ud800") is not None


def test_texts_of_the_model_cannot_reach_the_terminal() -> None:
    """Escapes, line ends and text that turns directions around are shown, not sent."""
    assert escaped("\x1b[31m\n\u202e{") == "\\x1b[31m\\n\\u202e{"
    assert escaped("x" * 50) == "x" * 40 + "..."


def test_a_shape_forgets_names_values_layout_and_comments() -> None:
    """Two functions that do the same to other names have one shape, another operator too."""
    left = _shape("fn f(a: u8) -> u8 { a + 1 }")
    assert left == _shape("fn g(b: u8) -> u8 {\n    // comment\n    b - 22\n}")
    assert left != _shape("fn f(a: u8) -> u8 { a + b + 1 }")
    assert left != _shape("fn f(a: u8) -> u8 { if a { 1 } }")


def test_a_shape_begins_where_the_model_began() -> None:
    """Nodes of the prompt are left out, and two continuations of two prompts are alike."""
    short, long = "fn f() -> u8 {", "/// Says é.\nfn a_long_name(x: u8, y: &str) -> u8 {"
    body = "\n    let v = 3;\n    v * 2\n}"
    left = _shape(short + body, written_from=len(short.encode()))
    assert left == _shape(long + body, written_from=len(long.encode()))
    assert _shape(short + body).endswith(left)
    assert 0 < len(left) < len(_shape(short + body))
    assert _shape(short + body, written_from=10_000) == ""


def test_broken_code_has_a_shape_and_shows_it() -> None:
    """What the parser cannot build is one mark; a shape is bounded and can be stored as JSON."""
    assert "!" in _shape("fn f( { { {")
    assert "!" not in _shape("def f(x):\n    return x\n", grammar=PYTHON)
    assert len(_shape("fn f() {}\n" * 3000)) == MAX_NODES
    _shape("{" * 100_000).encode()


def test_shape_likeness_is_an_edit_distance() -> None:
    """One of four nodes changed is 0.75; it equals rapidfuzz, and empty shapes are equal."""
    assert shape_likeness("abcd", "abed") == 0.75
    assert shape_likeness("abcd", "ab") == pytest.approx(1 - Levenshtein.distance("abcd", "ab") / 4)
    assert shape_likeness("", "") == 1
    assert mean_likeness(["ab", "ab", "cd"]) == pytest.approx(1 / 3)
    assert mean_likeness(["ab"]) is None


def test_a_hash_sample_does_not_depend_on_the_order() -> None:
    """The same names give the same sample in any order and however often, and no more than k."""
    names = [f"prompt|{index}" for index in range(500)]
    shuffled = random.Random(3).sample(names, k=len(names)) + names[:100]
    samples = []
    for stream in (names, shuffled):
        sample: HashSample[str] = HashSample(8)
        for name in stream:
            sample.offer(name, name)
        samples.append(sample.values())
    assert samples[0] == samples[1]
    assert len(samples[0]) == 8


def test_a_hash_sample_is_fair() -> None:
    """Of a stream of 400 names, those of either half are kept about as often."""
    first_half = 0
    for run in range(300):
        sample: HashSample[int] = HashSample(8)
        for index in range(400):
            sample.offer(f"{run}|{index}", index)
        first_half += sum(index < 200 for index in sample.values())
    assert 1100 < first_half < 1300


@pytest.mark.parametrize(
    ("changes", "signs"),
    [
        ({}, ()),
        ({"n_broken": 80, "n_repetitive": 49, "n_endless": 90, "n_empty": 49}, (Sign.BROKEN,)),
        ({"n_broken": 72}, ()),
        ({"n_repetitive": 50}, (Sign.REPETITION,)),
        ({"n_empty": 50}, (Sign.EMPTY,)),
        ({"n_endless": 91}, (Sign.ENDLESS,)),
        ({"n_endless": 100, "max_tokens": 16, "n_whole": 0, "n_broken": 0}, ()),
        ({"one_text": ("}", 51)}, (Sign.ONE_TEXT,)),
        ({"one_text": ("}", 50)}, ()),
        ({"one_text": ("}", 100), "most_of_a_prompt": 100}, ()),
        ({"median_distinct_words": 7.5}, (Sign.FEW_WORDS,)),
        ({"median_distinct_words": 5, "reference_distinct_words": 8}, ()),
        ({"median_distinct_words": 5, "reference_distinct_words": None}, (Sign.FEW_WORDS,)),
        ({"median_distinct_words": None}, ()),
        ({"n_whole": 4, "n_broken": 4}, ()),
        ({"total": 4, "n_repetitive": 4}, ()),
    ],
)
def test_signs_of_a_collapse(changes: dict[str, object], signs: tuple[Sign, ...]) -> None:
    """Each sign has its threshold, and none fires for a model that is merely often wrong."""
    assert signs_of(_changed(**changes)) == signs


def test_the_warning_names_the_repeated_word() -> None:
    """The seed's story in one line: the brace, how often, out of how many."""
    evidence = _changed(n_repetitive=96, repeated=(("{", 90), ("(", 6)), n_broken=90)
    said = describe(signs_of(evidence), evidence)
    assert said == (
        "collapse: the model does not write code: 96 of 100 completions repeat themselves, "
        "mostly `{` (90); 90 of 90 programs that came to an end are not even syntax"
    )


@pytest.mark.parametrize("sign", Sign)
def test_every_sign_is_told_in_one_line(sign: Sign) -> None:
    """Whatever the model wrote, the warning is one printable line."""
    evidence = _changed(repeated=(("\x1b[2J\n", 60),), one_text=("\n\n\x07", 60))
    said = describe((sign,), evidence)
    assert said.isprintable()
    assert any(character.isdigit() for character in said)


def _record(
    prompt: Prompt,
    index: int,
    completion: str,
    *,
    reason: FinishReason = FinishReason.BALANCED,
    metrics: CodeMetrics | None = None,
) -> SampleRecord:
    empty = CodeMetrics(lines=1, functions=1, complexity=1, items=(), parses=None)
    return SampleRecord(
        prompt_set="rust-basics",
        prompt_id=prompt.id,
        language=prompt.language,
        index=index,
        seed=1,
        prompt=prompt.prefix,
        completion=completion,
        finish_reason=reason,
        n_tokens=3,
        extraction=(
            Extraction.CONTINUATION_WHOLE
            if reason is FinishReason.LENGTH
            else Extraction.CONTINUATION_BALANCED
        ),
        program=prompt.prefix + completion,
        outcome=Outcome.COMPILE_ERROR,
        metrics=metrics or empty,
        times=SampleTimes(generation_ms=1, compile_ms=1, queue_ms=0),
    )


def _counted(
    completions: Callable[[Prompt, int], str],
    *,
    n: int = 6,
    reason: FinishReason = FinishReason.BALANCED,
    analyzer: Analyzer | None = None,
) -> RunQuality:
    """Count n completions of each default prompt, parsed where there is an analyzer."""
    shape_of: ShapeOf | None = None
    if analyzer is not None:

        def shape_of(text: str, language: ProgramLanguage, start: int) -> str | None:
            return analyzer.measure(text, language, written_from=start).shape

    prompts = {prompt.id: PromptQuality(prompt, shape_of) for prompt in BASICS}
    quality = RunQuality(prompts.values())
    for index in range(n):
        for prompt in BASICS:
            record = _record(prompt, index, completions(prompt, index), reason=reason)
            if analyzer is not None:
                start = len(prompt.prefix.encode())
                metrics = analyzer.measure(record.program, prompt.language, written_from=start)
                record = record.model_copy(update={"metrics": metrics})
            quality.add(record, prompts[prompt.id])
    return quality


def test_the_collapse_of_the_seed_is_recognised() -> None:
    """`{ { { {` for every prompt, stopped by the sampler or not, is a collapse into `{`."""
    for reason in (FinishReason.LENGTH, FinishReason.REPETITION, FinishReason.EOS):
        quality = _counted(lambda _prompt, index: " {" * (60 + index), reason=reason)
        degeneration = quality.degeneration(max_tokens=200)
        assert degeneration.collapse[0] is Sign.REPETITION
        assert degeneration.repeated[0].text == "{"
        assert degeneration.n_repetitive == 96
        (warning,) = quality.warnings(degeneration.collapse, max_tokens=200)
        assert warning.code == "collapse"
        assert "96 of 96 completions repeat themselves, mostly `{` (96)" in warning.message


def test_the_references_show_no_sign_and_are_like_themselves() -> None:
    """A model that writes the references has likeness 1, whole overlap, and no warning."""
    with Analyzer() as analyzer:
        quality = _counted(lambda prompt, _: prompt.reference or "", analyzer=analyzer)
    degeneration = quality.degeneration(max_tokens=200)
    assert degeneration.collapse == ()
    assert quality.warnings(degeneration.collapse, max_tokens=200) == ()
    similarity, diversity = quality.similarity(), quality.diversity()
    assert (similarity.ast_similarity, similarity.word_overlap) == (1, 1)
    assert similarity.n_compared == 96
    # reverse_string and find_max are both `s.a().b().c()`.
    assert (diversity.unique_programs, diversity.unique_shapes) == (16, 15)
    assert diversity.likeness_in_prompt == 1


def test_renamed_references_are_other_programs_of_the_same_shape() -> None:
    """Another number in each sample: all programs differ, their shapes do not."""
    with Analyzer() as analyzer:
        quality = _counted(
            lambda prompt, index: f" // {index}\n{prompt.reference}", analyzer=analyzer
        )
    diversity = quality.diversity()
    assert (diversity.unique_programs, diversity.unique_shapes) == (96, 15)
    assert diversity.unique_share == 1
    assert quality.similarity().ast_similarity == 1
    assert (quality.similarity().word_overlap or 0) < 1


def test_noise_that_ends_is_a_collapse_too() -> None:
    """Random words of code, each text another and none repeating, are told by their syntax."""
    random_ = random.Random(5)
    words = [word for prompt in BASICS for word in words_of(prompt.reference or "")]
    with Analyzer() as analyzer:
        quality = _counted(lambda *_: " ".join(random_.choices(words, k=40)), analyzer=analyzer)
    degeneration = quality.degeneration(max_tokens=200)
    assert degeneration.collapse == (Sign.BROKEN,)
    assert degeneration.n_repetitive == 0


def test_a_program_that_was_cut_off_says_nothing_about_syntax() -> None:
    """Programs that ran into the limit of tokens are not counted as broken."""
    with Analyzer() as analyzer:
        quality = _counted(
            lambda prompt, _: (prompt.reference or "")[:-2],
            reason=FinishReason.LENGTH,
            analyzer=analyzer,
        )
    degeneration = quality.degeneration(max_tokens=32)
    assert (degeneration.n_whole, degeneration.broken_share) == (0, None)
    assert degeneration.collapse == ()


def test_an_item_that_ended_is_not_endless() -> None:
    """A model that writes on behind the item, up to the limit, is no collapse: it was cut there."""
    prompts = {prompt.id: PromptQuality(prompt, None) for prompt in BASICS}
    for extraction, signs in (
        (Extraction.CONTINUATION_BALANCED, ()),
        (Extraction.CONTINUATION_WHOLE, (Sign.ENDLESS,)),
    ):
        quality = RunQuality(prompts.values())
        for prompt in BASICS:
            record = _record(prompt, 0, prompt.reference or "", reason=FinishReason.LENGTH)
            record = record.model_copy(update={"extraction": extraction})
            quality.add(record, prompts[prompt.id])
        assert quality.degeneration(max_tokens=200).collapse == signs


def test_the_same_samples_in_another_order_count_the_same() -> None:
    """A resumed run, whose samples come in another order, shows the same quality."""
    records = [
        (prompt, _record(prompt, index, f"{prompt.reference} // {index * '7 '}"))
        for prompt in islice(BASICS, 4)
        for index in range(3 * N_COMPARED)
    ]
    found = []
    for stream in (records, records[::-1]):
        prompts = {prompt.id: PromptQuality(prompt, None) for prompt in BASICS}
        quality = RunQuality(prompts.values())
        for prompt, record in stream:
            quality.add(record, prompts[prompt.id])
        found.append((quality.diversity(), quality.degeneration(max_tokens=200)))
    assert found[0] == found[1]
