"""The conformance kit: give it a factory for your adapter, it tells what the adapter does wrong.

    from im_proto.testing.conformance import run
    print(run(MySubject, "core").text())

    python -m im_proto.testing.conformance my_module:MySubject --level core

A scripted peer on a real socket plays each case; see docs/how-to/another-loop.md.
"""

from .case import Case, Level
from .failure import Failed, Skipped
from .registry import case_named, cases
from .report import Report, Result, Status, run, run_case
from .subject import Factory, Feature, LoopThread, Reaction, StoringFactory, Subject

__all__ = [
    "Case",
    "Factory",
    "Failed",
    "Feature",
    "Level",
    "LoopThread",
    "Reaction",
    "Report",
    "Result",
    "Skipped",
    "Status",
    "StoringFactory",
    "Subject",
    "case_named",
    "cases",
    "run",
    "run_case",
]
