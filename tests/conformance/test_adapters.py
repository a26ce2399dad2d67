"""The adapters of this project conform: every case of the kit that is for them."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.subjects import AsyncioSubject, ThreadsSubject, TrioSubject
from im_proto.testing.conformance import Case, Feature, Level, Status, cases, run_case

ADAPTERS = [AsyncioSubject, ThreadsSubject, TrioSubject]
PAIRS = [
    (adapter, case)
    for adapter in ADAPTERS
    for case in cases(Level.EXTRAS)
    if case.needs is None or case.needs in adapter.features
]


@pytest.mark.parametrize(
    ("adapter", "case"), PAIRS, ids=[f"{adapter.__name__}-{case.name}" for adapter, case in PAIRS]
)
def test_the_adapter_conforms(adapter: Any, case: Case) -> None:
    result = run_case(adapter, case, patience=20.0)
    if result.status is Status.SKIPPED:
        pytest.skip(result.why)
    assert result.status is Status.PASSED, result.text()


@pytest.mark.parametrize("adapter", [AsyncioSubject, ThreadsSubject])
def test_both_clients_have_every_feature(adapter: Any) -> None:
    assert adapter.features == set(Feature)
