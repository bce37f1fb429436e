"""Decode many samples together: a fixed number of rows, each refilled as soon as it is done.

A prompt is prefilled once and its keys and values are copied into every row that samples it. A row
stops by itself (`row.py`). Nothing here depends on which samples share a step (`noise.py`); what
does is the rounding of the matrix products, which differs with the number of rows: samples agree
token for token except where two candidates tie within that rounding.

When the memory does not hold the rows, half of them go on and the samples in flight are drawn
again: their noise is theirs, so they come out the same.
"""

from collections.abc import Callable, Iterable, Iterator

from codebench.sampling.completion import (
    Completion,
    FinishReason,
    SampleRequest,
    SamplerTiming,
    SamplingParams,
)
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.prompt_ids import PlainPrompts, PromptIds
from codebench.sampling.rows.column_steps import ColumnSteps
from codebench.sampling.rows.engine_clock import EngineClock
from codebench.sampling.rows.memory import Halving
from codebench.sampling.rows.position_steps import PositionSteps
from codebench.sampling.rows.prefixes import Prefixes
from codebench.sampling.rows.request_queue import RequestQueue
from codebench.sampling.rows.row import Row, no_room, start_row
from codebench.sampling.rows.row_steps import RowSteps, n_steps_ahead

_LOOK_EVERY = {"cpu": 1, "cuda": 8}
"""Steps between two looks at the tokens: a look makes the host wait for a GPU."""


class RowEngine:
    """Samples from one model with one set of parameters."""

    def __init__(
        self,
        loaded: LoadedModel,
        params: SamplingParams,
        *,
        n_rows: int,
        prompts: PromptIds | None = None,
        notify: Callable[[str], None] = lambda _: None,
        look_every: int | None = None,
    ) -> None:
        self._loaded = loaded
        self._params = params
        self._prompts = prompts or PlainPrompts(loaded.codec)
        self._notify = notify
        self._look_every = look_every or _LOOK_EVERY.get(loaded.device.type, 1)
        self._clock = EngineClock()
        self._prefixes = Prefixes(loaded, self._prompts, self._clock)
        self.n_rows = n_rows
        """Rows that decode together; fewer after the memory did not hold them."""

        self._rows: list[Row | None] = []
        self._steps = self._open_steps()
        self._halving = Halving(loaded.device, notify)

    def timing(self) -> SamplerTiming:
        """Return where the time went since the model was there (`load_s` is 0).

        The time of whoever takes the completions is not in it.
        """
        return self._clock.timing()

    def run(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        """Yield the completions as they finish; pull a request whenever a row is free.

        Raises:
            UsageError: if a prompt has no tokens.
            EnvironmentProblem: if the memory does not hold one row.
        """
        queue = RequestQueue(requests)
        self._set_up()
        while (completions := self._turn(queue)) is not None:
            yield from completions

    def _set_up(self) -> None:
        self._rows = [None] * self.n_rows
        self._steps = self._open_steps()
        self._clock.n_living_tokens = 0

    def _open_steps(self) -> RowSteps:
        if self._loaded.takes_whole_mask:
            return PositionSteps(
                self._loaded, self._params, n_rows=self.n_rows, notify=self._notify
            )
        return ColumnSteps(self._loaded, self._params, n_rows=self.n_rows)

    def _turn(self, queue: RequestQueue) -> list[Completion] | None:
        """Fill the free rows, decode a little in all and return what is finished; None at the end.

        A failure of the memory is mended here; the next turn goes on.
        """
        try:
            refused = self._fill(queue)
            if refused is not None:
                return [refused]
            if not any(self._rows):
                return None
            if queue.is_empty:
                self._rows = [self._rows[i] for i in self._steps.shrink(self._rows)]
            return self._advance(has_more=not queue.is_empty)
        except RuntimeError as error:
            self._halving.check(error, n_rows=len(self._rows))
        self._halve(queue)  # out of the handler: the error holds on to the step's tensors
        return []

    def _halve(self, queue: RequestQueue) -> None:
        """Go on with half of the rows; the samples in flight come first and start over."""
        n_before = len(self._rows)
        queue.put_back([row.request for row in self._rows if row is not None])
        self.n_rows = n_before // 2
        self._prefixes.clear()
        self._set_up()
        self._halving.go_on(self.n_rows, n_before=n_before)

    def _fill(self, queue: RequestQueue) -> Completion | None:
        """Start a sample in every free row; stop at one that has no room and return it, empty."""
        for i, row in enumerate(self._rows):
            if row is not None:
                continue
            request = queue.peek()
            if request is None:
                break
            row = self._admit(request, i)
            queue.pop()  # only now: a failure of the memory before leaves it there
            if row is None:
                return no_room(request)
        return None

    def _admit(self, request: SampleRequest, i: int) -> Row | None:
        """Start `request` in the free row `i`, or in one that is freed by moving others.

        None when the prompt fills the model's positions.
        """
        prefix = self._prefixes.get(request.prompt)
        row = start_row(
            request,
            prefix.ids,
            self._loaded,
            self._params,
            started_s=self._clock.busy_s,
            ends_at_item=not self._prompts.is_chat,
        )
        if row is not None:
            n_columns = len(prefix.ids) - 1
            for source in self._steps.make_room(self._rows, i, n_columns):
                self._rows[i], self._rows[source], i = self._rows[source], None, source
            self._steps.place(i, prefix.layers, n_columns, n_new=row.max_new + 1)
            self._rows[i] = row
        return row

    def _advance(self, *, has_more: bool) -> list[Completion]:
        """Decode a few tokens in every row and return what is finished; its row is free then."""
        clock, rows = self._clock, self._rows
        finished: list[tuple[Row, FinishReason]] = []
        with clock.decoding():
            steps = self._steps.run(
                rows,
                n_steps=n_steps_ahead(rows, self._loaded, look_every=self._look_every),
                done=lambda: clock.count_step(len(rows), has_more=has_more),
            )
            for token_ids in steps:
                for i, token_id in enumerate(token_ids):
                    row = rows[i]
                    if row is None:
                        continue
                    clock.n_living_tokens += 1
                    clock.n_occupied_row_steps += has_more
                    reason = row.take(token_id)
                    if reason is not None:
                        finished.append((row, reason))
                        rows[i] = None
                        self._steps.free(i)
        for row, _ in finished:
            clock.n_living_tokens -= len(row.new_ids)
            clock.n_generated_tokens += len(row.new_ids)
        with clock.decoding():
            return [
                row.completion(self._loaded.codec, self._params, reason, now_s=clock.busy_s)
                for row, reason in finished
            ]
