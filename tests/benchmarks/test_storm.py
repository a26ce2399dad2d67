"""A crowd loses the server, and what is told of its way back."""

from __future__ import annotations

import pytest

from benchmarks.storm import _Storm


@pytest.mark.slow
@pytest.mark.parametrize("kills", [False, True])
def test_a_small_crowd_comes_back(kills: bool) -> None:
    figure = _Storm(10, kills=kills).run()
    told = figure.details
    assert figure.value == pytest.approx(
        told["seconds until all are back"] / told["seconds that the rate allows"]
    )
    assert told["seconds that the rate allows"] == pytest.approx(0.02)
    assert 0 < told["seconds until half are back"] <= told["seconds until all are back"]
    assert (told["seconds without a server"] > 0.1) is kills
