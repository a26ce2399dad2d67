"""Pictures of what was measured, PNG and SVG. Needs matplotlib, of the extra `bench`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import CurveResult, RowResult

_OURS: Final = "#1f77b4"
_OTHERS: Final = "#9aa5b1"
_SPREAD: Final = "#333333"


def missing() -> str:
    """What is, and how to get it; "" for nothing."""
    if importlib.util.find_spec("matplotlib") is None:
        return 'matplotlib is not installed: pip install "im-proto[bench]"'
    return ""


def draw_row(result: RowResult, directory: Path) -> list[Path]:
    """A bar for each contestant, and the spread of its samples on it; none without figures."""
    names = [name for name in result.measured if result.spread(name) is not None]
    if not names:
        return []
    spreads = [spread for name in names if (spread := result.spread(name)) is not None]
    figure, axes = _figure(1.2 + 0.42 * len(names))
    ours = {goal.contestant for goal in result.row.goals}
    middles = [spread.median for spread in spreads]
    axes.barh(
        names,
        middles,
        xerr=[
            [spread.median - spread.least for spread in spreads],
            [spread.greatest - spread.median for spread in spreads],
        ],
        color=[_OURS if name in ours else _OTHERS for name in names],
        ecolor=_SPREAD,
        capsize=3,
    )
    axes.invert_yaxis()
    axes.set_xlabel(f"{result.row.unit} ({_better(result)}); median, least and greatest")
    axes.set_title(result.row.title)
    return _save(figure, directory / result.row.key)


def draw_curve(result: CurveResult, directory: Path) -> list[Path]:
    """Its lines; none without points."""
    if not any(result.series.values()):
        return []
    figure, axes = _figure(4.0)
    for name, points in result.series.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=name)
    if result.curve.x_log:
        axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel(result.curve.x_label)
    axes.set_ylabel(result.curve.y_label)
    axes.set_title(result.curve.title)
    axes.legend()
    return _save(figure, directory / result.curve.key)


def _better(result: RowResult) -> str:
    return "more is better" if result.row.higher_is_better else "less is better"


def _figure(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Any, stem: Path) -> list[Path]:
    """The same picture gives the same file: no date, no drawn names."""
    import matplotlib as mpl

    png, svg = stem.with_suffix(".png"), stem.with_suffix(".svg")
    with mpl.rc_context({"svg.hashsalt": stem.name, "svg.fonttype": "none"}):
        figure.savefig(png, dpi=110, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]
