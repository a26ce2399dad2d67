"""Draws docs/demo.svg, the table of `im demo`, from a result.json that `im demo --keep` left.

    python docs/make_demo_picture.py [RESULT.json]

Without an argument it runs the demo first. The same result gives the same bytes. The picture names
the monospace fonts of the reader's own system, and loads nothing.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "adapters")]

from rich.console import Console  # noqa: E402
from rich.terminal_theme import MONOKAI  # noqa: E402

from im_cli.demo import DemoOptions, Result, demo_command  # noqa: E402
from im_cli.demo_view import show  # noqa: E402

PICTURE: Final = Path(__file__).with_name("demo.svg")
WIDTH: Final = 94
FONTS: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def draw(result: dict[str, Any]) -> str:
    """The picture of a result."""
    console = Console(
        record=True,
        force_terminal=True,
        legacy_windows=False,
        highlight=False,
        file=StringIO(),
        width=WIDTH,
        color_system="truecolor",
        _environ={},
    )
    known = {key: value for key, value in result.items() if key in Result.__slots__}
    show(Result(**known), DemoOptions(), console)
    svg = console.export_svg(title="im demo", theme=MONOKAI, unique_id="im-demo")
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;]+;", f"font-family: {FONTS};", svg)
    hosts = set(re.findall(r"https?://[^/\"'\s]+", svg)) - {"http://www.w3.org"}
    if hosts:
        raise SystemExit(f"the picture would load something from {', '.join(sorted(hosts))}")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> int:
    """Read or make a result, and draw it."""
    if len(sys.argv) > 1:
        text = Path(sys.argv[1]).read_text(encoding="utf-8")
    else:
        with tempfile.TemporaryDirectory() as directory:
            kept = Path(directory, "kept")
            status = demo_command(DemoOptions(keep=kept))
            if status:
                return status
            text = (kept / "result.json").read_text(encoding="utf-8")
    PICTURE.write_text(draw(json.loads(text)), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
