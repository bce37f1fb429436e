"""Rows whose columns are positions: recorded steps, rows that move, attention in groups."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from codebench.sampling.completion import SamplingParams
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.rows.captured_step import CAPTURES, Capture, CapturedSteps, Step
from codebench.sampling.rows.engine import RowEngine
from codebench.sampling.rows.position_steps import PositionSteps
from codebench.sampling.rows.row_attention import attend_rows, use_row_attention
from tests.test_engine import loaded_model
from tests.tiny_models import (
    CPU,
    one_thread,  # noqa: F401  (a fixture)
    requests,
    texts,
)

KINDS = ("llama", "gpt2")
PARAMS = SamplingParams(max_tokens=40)


def with_positions(kind: str) -> LoadedModel:
    """Return a tiny model as the loader hands it out on a CPU."""
    loaded = replace(loaded_model(kind), takes_whole_mask=True)
    assert isinstance(loaded.model, PreTrainedModel)
    use_row_attention(loaded.model)
    return loaded


def capturing(monkeypatch: pytest.MonkeyPatch, capture: Capture) -> None:
    """Let steps be recorded on the CPU, by `capture`."""
    monkeypatch.setitem(CAPTURES, "cpu", lambda _device: capture)


@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_step_changes_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps with tensors of fixed place and shape, run again as they are, give the same samples."""
    loaded = with_positions(kind)
    expected = texts(RowEngine(loaded, PARAMS, n_rows=5).run(requests(6)))
    replays: list[int] = []

    def rerun(step: Step) -> Step:
        step()  # a warm-up, whose tokens nobody may see

        def replay() -> None:
            replays[-1] += 1
            step()

        replays.append(0)
        return replay

    capturing(monkeypatch, rerun)
    engine = RowEngine(loaded, PARAMS, n_rows=5, look_every=8)
    assert texts(engine.run(requests(6))) == expected
    assert sum(replays) > engine.timing().n_steps // 2
    assert len(replays) <= 4  # 5, 4, 2 and 1 rows


def test_a_recording_leaves_the_rows_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The warm-up of a recording writes nothing into a prompt that a row was started with."""
    loaded = with_positions("llama")
    params = SamplingParams(max_tokens=4)
    short_first = sorted(requests(1), key=lambda request: len(request.prompt.prompt))
    expected = texts(RowEngine(loaded, params, n_rows=1).run(short_first))

    def warm_up(step: Step) -> Step:
        step()
        return step

    capturing(monkeypatch, warm_up)
    engine = RowEngine(loaded, params, n_rows=1, look_every=8)
    assert texts(engine.run(short_first)) == expected


def test_recordings_of_moved_tensors_are_forgotten() -> None:
    """New recordings share no memory with forgotten ones: torch refuses a pool without a graph."""
    opened: list[list[Step]] = []

    def open_capture(_device: torch.device) -> Capture:
        recorded: list[Step] = []
        opened.append(recorded)

        def capture(step: Step) -> Step:
            recorded.append(step)
            return step

        return capture

    steps = CapturedSteps(open_capture, CPU, notify=lambda _: None)
    for _ in range(2):
        for _ in range(3):
            steps.ready(lambda: None, (1, 128))
        steps.clear()
    assert [len(recorded) for recorded in opened] == [1, 1, 0]


def test_a_model_that_cannot_be_recorded_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing recording is said once, with its reason; the samples are those without."""
    loaded = with_positions("llama")
    expected = texts(RowEngine(loaded, PARAMS, n_rows=3).run(requests(3)))
    said: list[str] = []

    def fail(_step: Step) -> Step:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    capturing(monkeypatch, fail)
    engine = RowEngine(loaded, PARAMS, n_rows=3, notify=said.append)
    assert texts(engine.run(requests(3))) == expected
    assert said == [
        "cpu: no CUDA graph of this model, going on without: "
        "operation not permitted when stream is capturing"
    ]


def test_a_recording_that_does_not_fit_halves_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that runs out while a step is recorded is no reason to go on without recordings."""
    loaded = with_positions("llama")
    expected = texts(RowEngine(loaded, PARAMS, n_rows=4).run(requests(3)))
    n_tries: list[int] = []

    def capture(step: Step) -> Step:
        n_tries.append(1)
        if len(n_tries) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step

    capturing(monkeypatch, capture)
    said: list[str] = []
    engine = RowEngine(loaded, PARAMS, n_rows=4, notify=said.append)
    assert texts(engine.run(requests(3))) == expected
    assert len(n_tries) > 1
    assert engine.n_rows == 2
    assert len(said) == 1
    assert "ran out of memory with 4 rows" in said[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("group", [1, 2, 3])
def test_groups_of_rows_change_nothing(
    kind: str, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that move to lie among others of their length give the samples of shared columns."""
    plain = texts(RowEngine(loaded_model(kind), PARAMS, n_rows=1).run(requests(8)))
    monkeypatch.setattr("codebench.sampling.rows.position_steps._GROUP", group)
    moved: list[int] = []
    make_room = PositionSteps.make_room

    def note(self: PositionSteps, *given: object) -> list[int]:
        sources = make_room(self, *given)  # type: ignore[arg-type]
        moved.extend(sources)
        return sources

    monkeypatch.setattr(PositionSteps, "make_room", note)
    engine = RowEngine(with_positions(kind), PARAMS, n_rows=7)
    assert texts(engine.run(requests(8))) == plain
    assert len(moved) > 4


def test_no_row_is_computed_for_nothing() -> None:
    """On a CPU a row that is done is dropped at once when no request is left."""
    engine = RowEngine(with_positions("llama"), PARAMS, n_rows=6)
    completions = list(engine.run(requests(5)))
    timing = engine.timing()
    assert timing.n_wasted_tokens == 0
    assert timing.n_generated_tokens == sum(c.n_tokens for c in completions)


Shape = tuple[int, int, int, int]


@pytest.mark.parametrize(("n_heads", "n_kv_heads"), [(4, 4), (6, 2), (4, 1)])
@pytest.mark.parametrize("windows", [(), ((2, 3), (5, 9)), ((1, 9), (3, 4), (5, 2))])
def test_attention_of_rows_is_attention(
    n_heads: int, n_kv_heads: int, windows: tuple[tuple[int, int], ...]
) -> None:
    """Batched products give softmax(Q K' / sqrt(d) + mask) V, group by group, shared heads too."""
    torch.manual_seed(0)
    n_rows, n_columns, size = 5, 9, 8
    random: Callable[..., torch.Tensor] = torch.randn
    query = random(n_rows, n_heads, 1, size)
    key, value = (random(n_rows, n_kv_heads, 12, size)[:, :, :n_columns] for _ in range(2))
    seen = [n_columns] * n_rows
    first = 0
    for end, window in windows:
        seen[first:end] = [window] * (end - first)
        first = end
    lengths = torch.tensor([min(1 + 2 * i, n) for i, n in enumerate(seen)])
    mask = torch.zeros(n_rows, n_columns)
    mask.masked_fill_(torch.arange(n_columns) >= lengths[:, None], -torch.inf)
    module = torch.nn.Module()
    found, _ = attend_rows(module, query, key, value, mask[:, None, None], row_windows=windows)
    share = n_heads // n_kv_heads
    for row, length in enumerate(lengths.tolist()):
        for head in range(n_heads):
            k, v = (x[row, head // share, :length].double() for x in (key, value))
            weights = torch.softmax(k @ query[row, head, 0].double() / size**0.5, 0)
            torch.testing.assert_close(
                found[row, 0, head].double(), weights @ v, atol=1e-6, rtol=1e-5
            )
