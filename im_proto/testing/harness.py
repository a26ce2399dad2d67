"""What the machines share: one queue of inputs, and values drawn at the start of a run."""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

START: Final = 1_000.0
WALL: Final = 1_700_000_000.0
_T = TypeVar("_T")
_Input = TypeVar("_Input")


class Harness(RuleBasedStateMachine, Generic[_Input]):
    """Gives an engine one input after the other; a machine says what that means."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self._latest = START
        self._data: st.DataObject | None = None
        self._inputs: deque[_Input] = deque()
        self._busy = self._broken = False

    def draw(self, strategy: st.SearchStrategy[_T]) -> _T:
        """Draw a value; in the hooks named `make_…` only."""
        assert self._data is not None, "draw() is for the hooks named make_…"
        return self._data.draw(strategy)

    def do(self, event: _Input) -> None:
        """Give the engine an input now; from inside a hook: when the present step is over."""
        self._inputs.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._inputs:
                self._step(self._inputs.popleft())
        except BaseException:
            self._broken = True
            raise
        finally:
            self._busy = False

    def _step(self, event: _Input) -> None:
        raise NotImplementedError

    @property
    def _now_there(self) -> float:
        """A clock that goes back is taken as standing still."""
        return max(self.now, self._latest)
