"""The kit as a command: `python -m im_proto.testing.conformance module:factory`."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Final

from .case import Level
from .peer import PATIENCE
from .registry import case_named, cases
from .report import Result, run
from .subject import Factory

_ABOUT: Final = """\
Run an adapter of im-proto for another event loop through the conformance kit.

FACTORY names a subclass of im_proto.testing.conformance.Subject, or a function that makes one:

    class MySubject(Subject):
        def __init__(self, config, on_event, ssl_context): …
        def connect(self, timeout): …          # blocks; returns when logged in
        def cancel_connect(self): …            # ends a connect() that waits in another thread
        def feed(self, item): …                # an input of the application: Send and such
        def disconnect(self): …                # blocks; returns when the socket is closed
        def close(self): …                     # ends the loop and its thread
        def left_behind(self): return []       # tasks and timers that should be gone

A loop runs in a thread of its own; LoopThread helps. A scripted peer on 127.0.0.1 plays each case
against it. What fails is told with what had to happen, what happened, and where to look.
"""
_EXAMPLES: Final = """\
levels:
  core    what every adapter must do: reads in any chunking, deadlines, back-pressure, ends of
          every kind, cancellation, the token function; nothing is left behind
  extras  core, and what the factory's `features` names: TLS, IPv6, Unix sockets, an HTTP proxy,
          callbacks, a journal

examples:
  python -m im_proto.testing.conformance my_adapter.subject:MySubject
  python -m im_proto.testing.conformance my_adapter.subject:MySubject --level extras --json
  python -m im_proto.testing.conformance my_adapter.subject:MySubject --case half-close
  python -m im_proto.testing.conformance --list

exit status: 0 all passed, 1 a case failed, 2 the command is wrong
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m im_proto.testing.conformance",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("factory", nargs="?", metavar="FACTORY", help="module:name")
    parser.add_argument("--level", choices=[level.value for level in Level], default="core")
    parser.add_argument("--case", action="append", metavar="NAME", help="only this one; may repeat")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE,
        metavar="SECONDS",
        help="for what should come at once; more on a slow machine (default: %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--list", action="store_true", help="print the cases and what they ask")
    return parser


def load(place: str) -> Factory:
    """The factory at `module:name`.

    Raises:
        ValueError: there is none; the text says why.
    """
    module, _, name = place.partition(":")
    if not name:
        raise ValueError(f"{place!r} is no module:name")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` itself does, when run by other means
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{place!r} can't be loaded: {error}") from error
    if not callable(found):
        raise ValueError(f"{place!r} is no factory: it can't be called")
    factory: Factory = found
    return factory


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        for case in cases(options.level):
            print(f"{case.name} ({case.level})\n    {case.must}")  # noqa: T201
        return 0
    if options.factory is None:
        parser.error("FACTORY is missing; --help shows how to write one")
    try:
        factory = load(options.factory)
        only = [case_named(name) for name in options.case] if options.case else None
    except (ValueError, KeyError) as error:
        parser.error(str(error.args[0]))
    report = run(
        factory,
        options.level,
        only=only,
        told=None if options.json else _progress,
        patience=options.patience,
    )
    sys.stderr.write("\n" if not options.json else "")
    print(report.json() if options.json else report.text())  # noqa: T201
    return 0 if report.passed else 1


def _progress(result: Result) -> None:
    sys.stderr.write({"passed": ".", "failed": "F", "skipped": "s"}[result.status])
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
