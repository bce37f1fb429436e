"""The parts of results.json below its top level; the docstring of a field is its description."""

from pydantic import BaseModel

from codebench.prompts.model import Language
from codebench.quality.collapse import Sign
from codebench.store.manifest import Scalar


class Described(
    BaseModel, frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
):
    """A part of results.json."""


class Interval(Described):
    """A range that holds the true rate with the stated confidence."""

    low: float
    """Lower end, percent 0-100."""

    high: float
    """Upper end, percent 0-100."""

    confidence: float
    """Share of such intervals that hold the true rate, 0-1."""

    meaning: str
    """What the interval speaks about."""


class RateIntervals(Described):
    """The intervals of one rate."""

    wilson: Interval | None
    """For exactly these prompts (Wilson's score); null when nothing was judged."""

    clustered: Interval | None
    """For prompts in general (clustered by prompt, Student's t); null below two prompts and when
    every prompt has the same rate."""


class Intervals(Described):
    """The intervals of the rates, in percent like the rates."""

    compile_success_rate: RateIntervals
    """Intervals of compile_success_rate."""

    pass_rate: RateIntervals | None
    """Intervals of pass_rate; null when no tests ran."""


class Tests(Described):
    """What the tests said, over the samples of prompts whose tests are run."""

    judged: int
    """Number of judged samples of prompts with tests: the denominator of pass_rate."""

    passed: int
    """Number of those that passed every test."""

    built_with_tests: int
    """Number of those whose program compiles and builds together with its tests."""

    build_with_tests_rate: float | None
    """100 * built_with_tests / judged, percent 0-100: the compile rate with tests."""

    n_shared: int
    """Number of samples whose tests ran in the program's own process: weaker evidence."""


class LanguageResults(Described):
    """The samples of one language."""

    total_samples: int
    """Number of samples."""

    judged: int
    """Number of samples in the denominator: all but infra_error."""

    compiled: int
    """Number of judged samples whose program compiled."""

    compile_success_rate: float | None
    """100 * compiled / judged, percent 0-100; null when nothing was judged."""

    intervals: Intervals
    """Intervals of the rate, percent."""

    outcomes: dict[str, int]
    """Number of samples by outcome; outcomes that did not occur are left out."""

    error_codes: dict[str, int]
    """Number of judged samples that show each error code, most frequent first."""

    compile_at_k: dict[str, float]
    """By k: chance 0-1 that one of k samples compiles, mean over prompts; see the top level."""

    pass_at_k: dict[str, float]
    """By k: chance 0-1 that one of k samples passes, mean over prompts; see the top level."""

    pass_rate: float | None
    """100 * passed / judged, percent 0-100, of prompts with tests; null when none ran."""

    tests: Tests | None
    """What the tests said; null when none ran."""


class Diversity(Described):
    """How much the programs differ from one another."""

    unique_programs: int
    """Number of distinct programs, compared byte by byte."""

    unique_share: float | None
    """unique_programs / total_samples, 0-1; null without samples."""

    unique_shapes: int | None
    """Number of distinct shapes of what the model wrote: the kinds of its syntax nodes, without
    names, values, layout and comments; null when nothing could be analysed."""

    unique_shapes_share: float | None
    """unique_shapes / programs that could be analysed, 0-1; null when there are none."""

    likeness_in_prompt: float | None
    """Mean likeness 0-1 of the shapes of two programs of the same prompt (1 - edits / length of the
    longer), over pairs of at most 8 programs a prompt, mean over prompts; null without pairs."""

    distinct_n: dict[str, float]
    """By n: distinct n-grams / all n-grams of words, 0-1, over at most 8 programs a prompt; falls
    with the number of programs. An n that no program has is left out."""

    vocabulary: int | None
    """Number of distinct words in those programs; null without samples."""


class Similarity(Described):
    """How near the programs are to the references of their prompts, as far as a prompt has one.

    Only what the model wrote is compared; a program can be right and far from the reference.
    """

    n_compared: int
    """Number of samples whose prompt has a reference."""

    ast_similarity: float | None
    """Mean of 1 - edits between the syntax nodes' kinds / length of the longer, 0-1; null without
    samples that could be analysed."""

    word_overlap: float | None
    """Mean share 0-1 of the words that program and reference have in common, with their counts
    (Dice); null without samples."""


class Clippy(Described):
    """What clippy says about the Rust programs that compile; it changes no outcome."""

    n_checked: int
    """Number of programs that clippy looked at."""

    n_clean: int
    """Number of those without a lint."""

    clean_rate: float | None
    """100 * n_clean / n_checked, percent 0-100; null when n_checked is 0."""

    lints_per_sample: float | None
    """Mean number of lints of a program; null when n_checked is 0."""

    lints: dict[str, int]
    """Number of programs that show each lint, most frequent first."""


class MeanScore(Described):
    """A mean of scores that people gave, 1 poor to 5 excellent."""

    mean: float
    """Mean over programs of the mean over their raters."""

    low: float | None
    """Lower end of the 95 % interval for prompts in general (clustered by prompt, Student's t);
    null below two prompts, and where the mean of every prompt is the same."""

    high: float | None
    """Upper end."""


class Ratings(Described):
    """What people said of the programs (`codebench rate`)."""

    n_programs: int
    """Programs with at least one rating."""

    n_ratings: int
    """Ratings, all raters together."""

    n_raters: int
    """Number of raters."""

    style: MeanScore
    """Names, layout and comments."""

    idiom: MeanScore
    """Whether things are said as the language says them."""

    style_agreement: float | None
    """Krippendorff's alpha, ordinal, over programs with two raters or more: 1 is agreement, 0 is
    chance; null where it is undefined."""

    idiom_agreement: float | None
    """The same for idiom."""


class Repeated(Described):
    """Something that completions repeat."""

    text: str
    """The repeated words, as `{`; at most 40 characters."""

    n_samples: int
    """Number of completions that repeat it."""


class Degeneration(Described):
    """Signs that the model has stopped writing code. Shares are of total_samples."""

    n_repetition: int
    """Samples that were ended because they repeated themselves."""

    n_truncated: int
    """Samples that were cut off by the limit of new tokens."""

    n_empty: int
    """Samples whose completion is empty or white space."""

    repetition_share: float | None
    """n_repetition / total_samples, 0-1; null without samples."""

    truncated_share: float | None
    """n_truncated / total_samples, 0-1; null without samples."""

    empty_share: float | None
    """n_empty / total_samples, 0-1; null without samples."""

    collapse: tuple[Sign, ...]
    """Signs that the model writes no code at all; empty when it does. Each is explained in the
    warning `collapse`."""

    n_repetitive: int | None
    """Samples whose completion repeats itself: ended for it, or it shrinks more than 4 times, or
    fewer than 20 % of its runs of four words are distinct."""

    repetitive_share: float | None
    """n_repetitive / total_samples, 0-1; null without samples."""

    repeated: tuple[Repeated, ...]
    """What those completions repeat, most frequent first, at most 5."""

    most_frequent_text: str | None
    """Beginning of the most frequent completion, at most 200 characters; null without samples."""

    most_frequent_share: float | None
    """Share 0-1 of the samples that begin with it; null without samples."""

    median_distinct_words: float | None
    """Median number of distinct words of a completion; null without samples."""

    median_compression: float | None
    """Median of how many times a completion shrinks under zlib, over at most 8 completions a
    prompt; honest code 1 to 2. Null without samples."""

    n_whole: int | None
    """Programs that came to their end and could be analysed; not those that the limit of new tokens
    cut off before it."""

    n_broken: int | None
    """Of n_whole, those that are no syntax of their language."""

    broken_share: float | None
    """n_broken / n_whole, 0-1; null when n_whole is 0."""


class Timing(Described):
    """Where the time of the last invocation went; samples found on disk cost none of it.

    Sampling and compiling overlap, and several programs compile at once, so the parts do not add up
    to the whole.
    """

    wall_s: float
    """From start to end, seconds."""

    startup_s: float
    """Until the first sample was asked for, loading the checkpoint included, seconds."""

    sampling_s: float
    """Time the sampler was busy: prefill_s + decode_s, seconds."""

    prefill_s: float
    """Reading prompts, seconds."""

    decode_s: float
    """Writing tokens, seconds."""

    compiling_s: float
    """The compilers' wall time in the sandbox, summed over its slots, seconds."""

    testing_s: float | None
    """Wall time of building with tests and running them in the sandbox, summed over its slots,
    seconds; Python with tests compiles in it. Null in older files."""

    queue_s: float
    """Time that completions waited to be judged, summed over samples, seconds."""

    other_s: float
    """wall_s - startup_s - sampling_s, not below 0: compiling alone, and ours; seconds."""

    n_prompt_tokens: int
    """Prompt tokens that were read."""

    n_generated_tokens: int
    """Tokens of the completions."""

    n_wasted_tokens: int
    """Tokens that were decoded and thrown away (past a stop, empty rows)."""

    wasted_share: float | None
    """n_wasted_tokens / (n_wasted_tokens + n_generated_tokens), 0-1; null without tokens."""

    rows_occupied_share: float | None
    """Share 0-1 of the rows' steps that held a sample while requests were left to be taken; null
    where nothing was drawn, or by another sampler than the row engine."""

    prefill_tokens_per_second: float | None
    """n_prompt_tokens / prefill_s; null where no time was measured."""

    decode_tokens_per_second: float | None
    """n_generated_tokens / decode_s; null where no time was measured."""

    bound_tokens_per_second: float | None
    """Most tokens per second that this machine's memory bandwidth and arithmetic would allow for
    this model and number of rows, measured in the run; null where it is not known."""

    bound_share: float | None
    """decode_tokens_per_second / bound_tokens_per_second, 0-1; small for small models, whose steps
    are mostly overhead. Null where the bound is."""

    n_resumed_samples: int
    """Samples that were found on disk, judged already."""


class Sampling(Described):
    """How completions were drawn and cut."""

    temperature: float
    """Sampling temperature; 0 is greedy."""

    top_k: int
    """The k likeliest tokens were kept; 0 kept all."""

    top_p: float
    """The smallest set of tokens with this probability was kept, 0-1; 1 kept all."""

    max_tokens: int
    """Most new tokens of one completion."""

    stop: tuple[str, ...]
    """Texts that ended a completion."""

    seed: int
    """Seed of the run; each sample has its own, derived from it."""

    n_samples: int
    """Number of samples that were asked for, over all prompts."""

    extract: str
    """How the program was cut out of a completion."""

    options: dict[str, Scalar]
    """Whatever else changes the texts; empty when nothing does."""


class PromptTests(Described):
    """What the tests of a prompt said."""

    n_tests: int
    """Number of tests of the prompt."""

    judged: int
    """Number of judged samples."""

    passed: int
    """Number of judged samples that passed every test."""

    pass_rate: float | None
    """100 * passed / judged, percent 0-100; null when nothing was judged."""

    built_with_tests: int
    """Number of judged samples that compile and build together with the tests."""

    shared: bool
    """Whether tests ran in the program's own process."""


class PromptResults(Described):
    """The samples of one prompt."""

    prompt: str
    """The text that opens the item to be written."""

    n_samples: int
    """Number of samples."""

    compile_success: int
    """Number of judged samples whose program compiled."""

    avg_lines: float | None
    """Mean number of non-empty lines of a program; null without samples."""

    common_errors: tuple[str, ...]
    """Distinct messages of the compiler, as `error[E0308]: mismatched types`; most frequent first,
    at most 10."""

    sample_outputs: tuple[str, ...]
    """The first completions, at most 3, each cut at 2000 characters."""

    id: str
    """Name of the prompt in its set."""

    prompt_set: str
    """Name of the prompt set."""

    language: Language
    """Language of the programs."""

    category: str
    """Group that the prompt belongs to."""

    judged: int
    """Number of samples in the denominator: all but infra_error."""

    compile_success_rate: float | None
    """100 * compile_success / judged, percent 0-100; null when nothing was judged."""

    avg_functions: float | None
    """Mean number of functions of a program; null when none could be analysed."""

    avg_complexity: float | None
    """Mean complexity (1 + branches) of a program; null when none could be analysed."""

    outcomes: dict[str, int]
    """Number of samples by outcome; outcomes that did not occur are left out."""

    error_codes: dict[str, int]
    """Number of judged samples that show each error code, most frequent first."""

    compile_at_k: dict[str, float]
    """By k: chance 0-1 that one of k samples compiles; left out where k > judged."""

    pass_at_k: dict[str, float]
    """By k: chance 0-1 that one of k samples passes every test; left out where k > judged, and
    empty when no tests were run."""

    tests: PromptTests | None
    """What the tests said; null when the run does not run tests or the prompt has none."""

    similarity: Similarity | None
    """How near the programs are to the prompt's reference; null where it has none."""

    n_repetitive: int | None
    """Samples whose completion repeats itself; see `degeneration`."""


class RunWarning(Described):
    """Something that a reader of the numbers must know."""

    code: str
    """Name of the warning, for programs."""

    message: str
    """The warning in one line, for people."""
