"""Count how a model writes over the samples of a run, one at a time, in memory that stays bounded.

Counts are over every sample. What needs the texts themselves side by side (n-grams, vocabulary,
likeness of pairs, median compression) is computed over at most 8 samples of each prompt, drawn by
a hash of their names, so that it depends on neither order nor interruptions.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from codebench.extract import Extraction
from codebench.prompts.model import Language, Prompt
from codebench.quality.collapse import Evidence, Sign, describe, signs_of
from codebench.quality.hash_sample import HashSample
from codebench.quality.likeness import mean_likeness, shape_likeness
from codebench.quality.repetition import MAX_CHARS, compression_ratio, repeated_in
from codebench.quality.words import distinct_n, word_overlap, words_of
from codebench.results.parts import Degeneration, Diversity, Repeated, RunWarning, Similarity
from codebench.results.tally import BoundedCounter, Mean, share
from codebench.sampling.completion import FinishReason
from codebench.store.record import SampleRecord

ShapeOf = Callable[[str, Language, int], str | None]
"""Shape of what stands from this byte on in a program; None when the parser gives no answer."""

N_COMPARED = 8
"""Samples of a prompt that are looked at side by side."""

MAX_REPEATED = 5
MAX_TEXT_CHARS = 200
_MAX_N = 4
_MAX_COUNTED_WORDS = 256


class _Sampled(NamedTuple):
    completion: str
    written: str
    """What the model wrote of the program."""

    shape: str | None


class _Reference(NamedTuple):
    words: list[str]
    shape: str | None


@dataclass(slots=True)
class _Likeness:
    """Likeness to a reference, summed up."""

    n_compared: int = 0
    ast: Mean = field(default_factory=Mean)
    words: Mean = field(default_factory=Mean)

    def results(self) -> Similarity:
        return Similarity(
            n_compared=self.n_compared,
            ast_similarity=self.ast.value(),
            word_overlap=self.words.value(),
        )


class PromptQuality:
    """How the model writes for one prompt."""

    def __init__(self, prompt: Prompt, shape_of: ShapeOf | None) -> None:
        self._prompt = prompt
        self._shape_of = shape_of
        self._references: dict[bool, _Reference] = {}
        self._likeness = _Likeness()
        self.n_samples = 0
        self.n_repetitive = 0
        self.sample: HashSample[_Sampled] = HashSample(N_COMPARED)

    def add(self, sampled: _Sampled, record: SampleRecord, *, whole: bool) -> tuple[Mean, Mean]:
        """Count one sample; return its likeness to the reference, as means of one or none.

        Args:
            sampled: Its texts.
            record: Its record.
            whole: Whether the model wrote the whole program, not what follows the prompt.
        """
        self.n_samples += 1
        self.sample.offer(f"{record.prompt_set}|{record.prompt_id}|{record.index}", sampled)
        ast, words = Mean(), Mean()
        if self._prompt.reference is not None:
            reference = self._reference(whole=whole)
            words.add(word_overlap(words_of(sampled.written[:MAX_CHARS]), reference.words))
            if sampled.shape is not None and reference.shape is not None:
                ast.add(shape_likeness(sampled.shape, reference.shape))
            self._likeness.n_compared += 1
            self._likeness.ast.add(ast.value())
            self._likeness.words.add(words.value())
        return ast, words

    def similarity(self) -> Similarity | None:
        """Return how near the samples are to the reference; None when there is none."""
        return self._likeness.results() if self._prompt.reference is not None else None

    def n_reference_words(self) -> int | None:
        """Return the number of distinct words of the reference."""
        return None if self._prompt.reference is None else len({*words_of(self._prompt.reference)})

    def _reference(self, *, whole: bool) -> _Reference:
        """Return the reference as a program that was written the same way; parsed once."""
        if whole not in self._references:
            prompt = self._prompt
            program = prompt.prefix + (prompt.reference or "")
            start = 0 if whole else len(prompt.prefix.encode())
            shape = self._shape_of(program, prompt.language, start) if self._shape_of else None
            written = program if whole else prompt.reference or ""
            self._references[whole] = _Reference(words_of(written), shape)
        return self._references[whole]


class RunQuality:
    """How the model writes over a run: the prompts together."""

    def __init__(self, prompts: Iterable[PromptQuality]) -> None:
        self._prompts = tuple(prompts)
        self._programs: set[int] = set()
        self._shapes: set[int] = set()
        self._likeness = _Likeness()
        self._texts = BoundedCounter()
        self._repeated = BoundedCounter()
        self._distinct_words: Counter[int] = Counter()
        self._n: Counter[str] = Counter()

    def add(self, record: SampleRecord, prompt: PromptQuality) -> None:
        """Count one sample, of this prompt of the run."""
        whole = not record.program.startswith(record.prompt)
        written = record.program if whole else record.program[len(record.prompt) :]
        completion = record.completion[-MAX_CHARS:]
        shape = record.metrics.shape
        ast, words = prompt.add(_Sampled(completion, written, shape), record, whole=whole)
        if words.n:
            self._likeness.n_compared += 1
            self._likeness.ast.add(ast.value())
            self._likeness.words.add(words.value())
        self._programs.add(_hash(f"{record.language}\n{record.program}"))
        if shape is not None:
            self._n["shape"] += 1
            self._shapes.add(_hash(f"{record.language}\n{shape}"))
        self._add_text(record, completion, prompt)
        self._add_syntax(record)

    def _add_text(self, record: SampleRecord, completion: str, prompt: PromptQuality) -> None:
        self._n["total"] += 1
        self._n["empty"] += not completion.strip()
        self._n["truncated"] += record.finish_reason is FinishReason.LENGTH
        self._n["endless"] += _is_endless(record)
        self._n["repetition"] += record.finish_reason is FinishReason.REPETITION
        self._texts.add(record.completion.strip()[:MAX_TEXT_CHARS])
        n_words = len({*words_of(completion)})
        self._distinct_words[min(n_words, _MAX_COUNTED_WORDS)] += 1
        repeated = repeated_in(completion)
        if repeated is None and record.finish_reason is FinishReason.REPETITION:
            repeated = record.loop or ""
        if repeated is not None:
            self._n["repetitive"] += 1
            prompt.n_repetitive += 1
            self._repeated.add(repeated)

    def _add_syntax(self, record: SampleRecord) -> None:
        if not _is_endless(record) and record.metrics.parses is not None:
            self._n["whole"] += 1
            self._n["broken"] += not record.metrics.parses

    def diversity(self) -> Diversity:
        """Return how much the programs differ."""
        total, n_shapes = self._n["total"], self._n["shape"]
        texts = [words_of(sampled.written[:MAX_CHARS]) for sampled in self._sampled()]
        shares = {n: distinct_n(texts, n) for n in range(1, _MAX_N + 1)}
        return Diversity(
            unique_programs=len(self._programs),
            unique_share=share(len(self._programs), total),
            unique_shapes=len(self._shapes) if n_shapes else None,
            unique_shapes_share=share(len(self._shapes), n_shapes),
            likeness_in_prompt=self._likeness_in_prompt(),
            distinct_n={str(n): value for n, value in shares.items() if value is not None},
            vocabulary=len({word for words in texts for word in words}) if total else None,
        )

    def similarity(self) -> Similarity:
        """Return how near the samples are to the references."""
        return self._likeness.results()

    def degeneration(self, *, max_tokens: int) -> Degeneration:
        """Return the signs that the model writes no code."""
        n, total = self._n, self._n["total"]
        evidence = self._evidence(max_tokens)
        ratios = [compression_ratio(sampled.completion) for sampled in self._sampled()]
        text, count = evidence.one_text
        return Degeneration(
            n_repetition=n["repetition"],
            n_truncated=n["truncated"],
            n_empty=n["empty"],
            repetition_share=share(n["repetition"], total),
            truncated_share=share(n["truncated"], total),
            empty_share=share(n["empty"], total),
            collapse=signs_of(evidence),
            n_repetitive=n["repetitive"],
            repetitive_share=share(n["repetitive"], total),
            repeated=tuple(
                Repeated(text=what, n_samples=often)
                for what, often in evidence.repeated[:MAX_REPEATED]
            ),
            most_frequent_text=text if total else None,
            most_frequent_share=share(count, total),
            median_distinct_words=evidence.median_distinct_words,
            median_compression=_median(ratio for ratio in ratios if ratio is not None),
            n_whole=n["whole"],
            n_broken=n["broken"],
            broken_share=share(n["broken"], n["whole"]),
        )

    def warnings(self, signs: tuple[Sign, ...], *, max_tokens: int) -> tuple[RunWarning, ...]:
        """Return the warning `collapse` when there are signs of one."""
        if not signs:
            return ()
        message = describe(signs, self._evidence(max_tokens))
        return (RunWarning(code="collapse", message=message),)

    def _evidence(self, max_tokens: int) -> Evidence:
        n = self._n
        texts = iter(self._texts.ranked().items())
        references = [prompt.n_reference_words() for prompt in self._prompts]
        return Evidence(
            total=n["total"],
            n_repetitive=n["repetitive"],
            repeated=tuple(self._repeated.ranked().items()),
            n_empty=n["empty"],
            n_endless=n["endless"],
            max_tokens=max_tokens,
            one_text=next(texts, ("", 0)),
            most_of_a_prompt=max((prompt.n_samples for prompt in self._prompts), default=0),
            median_distinct_words=_median(self._distinct_words.elements()),
            reference_distinct_words=_median(words for words in references if words is not None),
            n_whole=n["whole"],
            n_broken=n["broken"],
        )

    def _likeness_in_prompt(self) -> float | None:
        mean = Mean()
        for prompt in self._prompts:
            shapes = [s.shape for s in prompt.sample.values() if s.shape is not None]
            mean.add(mean_likeness(shapes))
        return mean.value()

    def _sampled(self) -> list[_Sampled]:
        return [sampled for prompt in self._prompts for sampled in prompt.sample.values()]


def _is_endless(record: SampleRecord) -> bool:
    """Whether the limit of tokens came before the end of what was asked for."""
    ended = record.extraction is Extraction.CONTINUATION_BALANCED
    return record.finish_reason is FinishReason.LENGTH and not ended


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _median(values: Iterable[float]) -> float | None:
    found = sorted(values)
    return float(median(found)) if found else None
