"""What is kept of a corpus, and how an input that breaks something is made small."""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tests.fuzz.catalog import CORPUS, HERE, WORK, load
from tests.fuzz.feed import Target
from tests.fuzz.seeds import seeds

#: files of a target that are kept, those that bring most first
KEPT: Final = 40
#: and bytes of one of them
LARGEST: Final = 2048
_CORE: Final = str(HERE.parent.parent / "im_proto")
Arc = tuple[str, int, int]


def name_of(data: bytes) -> str:
    """The name of an input's file."""
    return hashlib.sha256(data).hexdigest()[:16]


def files(folder: Path) -> list[Path]:
    """The inputs in a folder, in a fixed order."""
    return sorted(path for path in folder.glob("*") if path.is_file())


def fault(target: Target, data: bytes) -> str:
    """What an input breaks, and where; "" if nothing."""
    try:
        target(data)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}: {error}"
    return ""


def shrink(target: Target, data: bytes) -> bytes:
    """The same fault by fewer bytes: pieces are left out as long as it stays."""

    def same(other: bytes) -> bool:
        return fault(target, other).partition(": ")[0] == wanted

    wanted = fault(target, data).partition(": ")[0]
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            if same(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data


def merge(target: str) -> int:
    """Choose anew what is kept of seeds, kept corpus and found corpus; returns how many files."""
    folder = CORPUS / target
    found = {path.read_bytes() for place in (folder, WORK / target) for path in files(place)}
    chosen = smallest(load(target), found.union(seeds(target)))
    folder.mkdir(parents=True, exist_ok=True)
    for path in files(folder):
        path.unlink()
    for data in chosen:
        (folder / name_of(data)).write_bytes(data)
    return len(chosen)


def smallest(target: Target, inputs: Iterable[bytes]) -> list[bytes]:
    """Few short inputs that reach almost all that the inputs reach."""
    reached = {
        data: _arcs(target, data)
        for data in sorted(inputs, key=lambda data: (len(data), data))
        if len(data) <= LARGEST
    }
    chosen: list[bytes] = []
    missing = set().union(*reached.values())
    while missing and len(chosen) < KEPT:
        # a long one has to bring more; of equals the first, which is the shortest
        best = max(reached, key=lambda data: len(reached[data] & missing) / (64 + len(data)))
        chosen.append(best)
        missing -= reached.pop(best)
        reached = {data: arcs for data, arcs in reached.items() if arcs & missing}
    return chosen


def _arcs(target: Target, data: bytes) -> set[Arc]:
    """The steps from line to line inside of im_proto."""
    arcs: set[Arc] = set()

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(_CORE):
            return None
        last = 0

        def line(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal last
            arcs.add((name, last, frame.f_lineno))
            last = frame.f_lineno
            return line

        return line

    sys.settrace(enter)
    try:
        target(data)
    finally:
        sys.settrace(None)
    return arcs
