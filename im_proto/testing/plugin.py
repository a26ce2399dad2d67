"""A pytest plugin for what is built on im-proto. Opt-in: `pytest -p im_proto.testing.plugin`.

It imports nothing of the harness before a test asks for it. There are:

- `im_conformance`, one test for each case of the conformance kit:

      @pytest.mark.im_conformance(MySubject, level="core")
      def test_my_adapter(im_conformance):
          im_conformance()

- `sim_world`, a `SimWorld` in virtual time. Its seed is the fixture `sim_seed`, which is 0, or

      @pytest.mark.parametrize("sim_seed", range(10))
      def test_in_ten_worlds(sim_world): …
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conformance import Factory
    from .sim import SimWorld

_MARK = "im_conformance"


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the mark."""
    config.addinivalue_line(
        "markers",
        f"{_MARK}(factory, level='core', patience=5.0): run an adapter through the conformance "
        "kit, one test for each case",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for each case that the adapter has to pass."""
    if _MARK not in metafunc.fixturenames:
        return
    from .conformance import cases

    factory, level, _ = _marked(metafunc.definition)
    features: frozenset[str] = getattr(factory, "features", frozenset())
    wanted = [case for case in cases(level) if case.needs is None or case.needs in features]
    metafunc.parametrize(_MARK, wanted, indirect=True, ids=[case.name for case in wanted])


def _marked(node: Any) -> tuple[Factory, str, float]:
    """What the mark of a test says."""
    mark = node.get_closest_marker(_MARK)
    if mark is None:
        raise pytest.UsageError(f"{node.nodeid} lacks @pytest.mark.{_MARK}(factory)")

    def read(
        factory: Factory, level: str = "core", patience: float = 5.0
    ) -> tuple[Factory, str, float]:
        return factory, level, patience

    return read(*mark.args, **mark.kwargs)


@pytest.fixture
def im_conformance(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Runs one case of the conformance kit; the test fails, or is skipped, as it says."""
    from .conformance import Case, Status, run_case

    factory, _, patience = _marked(request.node)
    case: Case = request.param

    def check() -> None:
        result = run_case(factory, case, patience)
        if result.status is Status.SKIPPED:
            pytest.skip(result.why)
        if result.status is Status.FAILED:
            pytest.fail(result.text(), pytrace=False)

    return check


@pytest.fixture
def sim_seed() -> int:
    """The seed of `sim_world`; parametrize it for others."""
    return 0


@pytest.fixture
def sim_world(sim_seed: int) -> SimWorld:
    """A world in virtual time."""
    from .sim import SimWorld

    return SimWorld(sim_seed)
