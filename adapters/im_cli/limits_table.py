"""The table of limits: names, defaults, what they are now and who said so, and the reasons."""

from __future__ import annotations

import inspect
import json
import re

from rich.console import Console
from rich.table import Table

from im_proto.config import ServerConfig
from im_server.settings import Loaded

__all__ = ["print_limits", "reasons"]


def print_limits(loaded: Loaded, as_json: bool) -> None:
    """All fields of `ServerConfig`, limits first."""
    config, why = loaded.config(), reasons()
    rows = [
        (name, field.default, getattr(config, name), _from(loaded, name), why.get(name, ""))
        for name, field in ServerConfig.model_fields.items()
    ]
    if as_json:
        keys = ("name", "default", "value", "from", "reason")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]))  # noqa: T201
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("name", "default", "now", "from"):
        table.add_column(column, overflow="fold")
    table.add_column("reason", overflow="fold", ratio=1)
    for name, default, value, where, reason in rows:
        given = loaded.sources[name] != "default"
        now = (_shown(value), where) if given or value != default else ("", "")
        table.add_row(name, _shown(default), *now, reason, style="bold" if given else "")
    console = Console(highlight=False, markup=False)
    console.print(table)
    console.print(
        "\nSet one with --set NAME=VALUE, IM_NAME in the environment, or NAME = VALUE in the file "
        "of --config. Durations are in seconds; none: no limit, where that is possible."
    )


def _from(loaded: Loaded, name: str) -> str:
    return loaded.where(name) if loaded.sources[name] != "default" else "default"


def reasons() -> dict[str, str]:
    """The comment above each field in the source; an installation without sources has none."""
    found: dict[str, str] = {}
    for model in reversed(ServerConfig.__mro__):
        if not model.__module__.startswith("im_proto."):
            continue
        try:
            source = inspect.getsource(model)
        except (OSError, TypeError):
            continue
        above: list[str] = []
        for line in source.splitlines():
            text = line.strip()
            if text.startswith("#:"):
                above.append(text.removeprefix("#:").strip())
            elif match := re.match(r"(\w+):", text):
                if above:
                    found[match[1]] = " ".join(above)
                above = []
    return found


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "(none)"
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 else f"{value:.0f}"
    return "none" if value is None else str(value)
