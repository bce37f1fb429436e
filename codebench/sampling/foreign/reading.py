"""Read a file of samples that were made elsewhere, whichever harness wrote it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from codebench.errors import UsageError
from codebench.prompts.model import PromptSet
from codebench.sampling.foreign.continuing import Texts, completions_of
from codebench.sampling.foreign.files import fingerprint
from codebench.sampling.foreign.formats import detect, folder_samples, samples_of
from codebench.sampling.foreign.matching import Matched, PromptNames
from codebench.sampling.foreign.samples import ForeignFormat, ForeignSamples, FoundSample
from codebench.sampling.replay import ReplayedCompletion

_N_NAMED = 3
"""How many ids a message names."""


def read_foreign(path: Path, prompt_sets: Sequence[PromptSet]) -> ForeignSamples:
    """Return the samples of a file, or of a folder of MultiPL-E files, for these prompts.

    The format is told by the content, plain or gzip. Samples are numbered from 0 per prompt in
    the order of the file; those of our own samples.jsonl keep their index (the last of a double
    counts), unless some before them are missing. Finish reason and token count are kept where the
    file has them; else they are EOS and 0. `continuing.py` says what becomes of whole programs.

    Args:
        path: the file or folder.
        prompt_sets: at least one; a bigcode file needs exactly one.

    Raises:
        UsageError: if the file is broken, in no known format or in two, or has no sample of these
            prompts.
        EnvironmentProblem: if it cannot be read.
    """
    files: tuple[Path, ...] = (path,)
    found: Iterable[FoundSample]
    if path.is_dir():
        form = ForeignFormat.MULTIPL_E
        files, found = folder_samples(path)
    else:
        form = detect(path)
        found = samples_of(path, form, prompt_sets)
    names = PromptNames(prompt_sets)
    matched, unknown = _match(found, names)
    if not matched:
        raise UsageError(_nothing_matches(f"{path} ({form})", unknown, names))
    kept = _numbered(matched)
    texts = completions_of(
        kept,
        may_lack_braces=form is ForeignFormat.BIGCODE,
        runs_all=form is ForeignFormat.HUMAN_EVAL,
    )
    counts = dict(Counter(sample.key for sample in kept))
    n_prompts = sum(len(prompt_set.prompts) for prompt_set in prompt_sets)
    return ForeignSamples(
        format=form,
        completions=tuple(_completions(kept, texts.texts)),
        counts=counts,
        extract=texts.extract,
        fingerprint=fingerprint(path, files),
        n_skipped=unknown.total(),
        warnings=(
            *_about_names(unknown, n_missing=n_prompts - len(counts), n_prompts=n_prompts),
            *_about_samples(matched, kept, texts),
        ),
    )


def _match(found: Iterable[FoundSample], names: PromptNames) -> tuple[list[Matched], Counter[str]]:
    """Return the samples that have a prompt, and how many of each name have none."""
    matched: list[Matched] = []
    unknown: Counter[str] = Counter()
    for sample in found:
        prompt = names.match(sample)
        if prompt is not None:
            matched.append(prompt)
        else:
            unknown["/".join(filter(None, (sample.prompt_set, sample.name)))] += 1
    return matched, unknown


def _nothing_matches(what: str, unknown: Mapping[str, int], names: PromptNames) -> str:
    if not unknown:
        return f"{what} holds no samples: its lists are empty"
    return (
        f"{what} has no sample of these prompts: it names {_first(unknown)}, "
        f"and they are {_first(names.known())}"
    )


def _first(ids: Iterable[str]) -> str:
    ids = list(ids)
    more = ", ..." if len(ids) > _N_NAMED else ""
    return ", ".join(repr(name) for name in ids[:_N_NAMED]) + more


def _numbered(matched: Sequence[Matched]) -> list[Matched]:
    """Return the samples with the last of each double only, those with an index in its order."""
    last: dict[tuple[tuple[str, str], int], Matched] = {}
    plain = []
    for m in matched:
        if m.sample.index is None:
            plain.append(m)
        else:
            last[m.key, m.sample.index] = m
    return plain + [last[key] for key in sorted(last, key=lambda key: key[1])]


def _completions(kept: Sequence[Matched], texts: Sequence[str]) -> Iterator[ReplayedCompletion]:
    numbers: Counter[tuple[str, str]] = Counter()
    for m, text in zip(kept, texts, strict=True):
        yield ReplayedCompletion(
            prompt_set=m.prompt_set,
            prompt_id=m.prompt.id,
            index=numbers[m.key],
            completion=text,
            finish_reason=m.sample.finish_reason,
            n_tokens=m.sample.n_tokens,
        )
        numbers[m.key] += 1


def _about_names(unknown: Counter[str], *, n_missing: int, n_prompts: int) -> Iterator[str]:
    if unknown:
        yield (
            f"{unknown.total()} samples are of other prompts and are left out: {_first(unknown)}"
        )
    if n_missing:
        yield f"{n_missing} of {n_prompts} prompts have no sample"


def _about_samples(
    matched: Sequence[Matched], kept: Sequence[Matched], texts: Texts
) -> Iterator[str]:
    if len(kept) < len(matched):
        yield f"{len(matched) - len(kept)} samples come again later in the file: the last counts"
    counts: Counter[tuple[str, str]] = Counter()
    n_moved = 0
    for m in kept:
        n_moved += m.sample.index not in (None, counts[m.key])
        counts[m.key] += 1
    if n_moved:
        yield f"samples are missing in between: {n_moved} later ones got a smaller index"
    n_other = sum(_is_of_other_text(m) for m in kept)
    if n_other:
        yield f"{n_other} samples were written for another text of their prompt than the set has"
    if texts.n_braces:
        yield f"{texts.n_braces} completions got back the closing brace that a stop had cut off"


def _is_of_other_text(m: Matched) -> bool:
    given = m.sample.prompt_text
    return given is not None and given.strip() not in (
        m.prompt.prefix.strip(),
        m.prompt.prompt.strip(),
    )
