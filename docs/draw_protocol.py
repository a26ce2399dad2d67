"""Writes docs/protocol.json: the protocol and the engine's interface, for other languages.

python docs/draw_protocol.py            write it
python docs/draw_protocol.py --check    exit 1 if it is stale
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

from im_proto.description import describe

FILE = Path(__file__).with_name("protocol.json")


def text() -> str:
    """The whole file."""
    return json.dumps(describe(inspect.getsource), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or with --check compare it."""
    if "--check" in arguments:
        if FILE.read_text(encoding="utf-8") != text():
            print(f"{FILE.name} is stale: run `make docs`", file=sys.stderr)  # noqa: T201
            return 1
        return 0
    FILE.write_text(text(), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
