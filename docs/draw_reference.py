"""Writes docs/reference.md: the public names of the packages, from their own docstrings.

python docs/draw_reference.py            write it
python docs/draw_reference.py --check    exit 1 if it is stale
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from im_proto.client import Event

PACKAGES = (
    "im_asyncio",
    "im_threads",
    "im_runtime",
    "im_proto",
    "im_proto.client.events",
    "im_proto.client.inputs",
    "im_proto.client.actions",
    "im_proto.client.journal",
    "im_proto.testing",
    "im_proto.testing.machines",
    "im_proto.testing.conformance",
    "im_server",
    "im_web",
)
#: Of these not all: the rest is for who writes an adapter.
ONLY = {"im_runtime": ("NAMES", "Durability"), "im_web": ("NotBuiltError", "routes")}
PAGE = Path(__file__).with_name("reference.md")


def reference() -> str:
    """The whole page."""
    parts = [
        "# Reference\n",
        "Made from the docstrings by `python docs/draw_reference.py`. Durations are in seconds "
        "unless a name says otherwise.\n",
    ]
    seen: set[int] = set()
    for name in PACKAGES:
        package = importlib.import_module(name)
        parts.append(f"## {name}\n\n{_doc(package)}\n")
        for public in ONLY.get(name) or _names(package):
            thing = getattr(package, public)
            if public.startswith("__") or id(thing) in seen:
                continue
            seen.add(id(thing))
            parts.append(_describe(public, thing))
    return "\n".join(parts)


def _names(module: ModuleType) -> list[str]:
    """What a module calls public; without a list of that, the classes that it defines."""
    listed: list[str] | None = getattr(module, "__all__", None)
    return listed or [
        name
        for name, thing in vars(module).items()
        if inspect.isclass(thing)
        and thing.__module__ == module.__name__
        and not name.startswith("_")
    ]


def _describe(name: str, thing: Any) -> str:
    if isinstance(thing, Mapping):
        rows = "\n".join(f"| `{key}` | {_row(value)} |" for key, value in thing.items())
        return f"### {name}\n\n| name | |\n|---|---|\n{rows}\n"
    if inspect.isroutine(thing):
        return f"### {name}\n\n{_code(name + _signature(thing))}\n\n{_doc(thing)}\n"
    if not inspect.isclass(thing):  # a constant, or a name for a type
        said = repr(thing) if isinstance(thing, str) else _unqualified(str(thing))
        return f"### {name}\n\n{_code(f'{name} = {said}')}\n"
    lines = [f"### {name}\n\n{_code(_head(name, thing))}\n\n{_doc(thing)}\n"]
    if issubclass(thing, BaseModel):
        lines.append(_fields(thing))
    for member, value in _members(thing).items():
        doc = _doc(value)
        if member.startswith("_") or not doc or "Not for applications." in doc:
            continue
        if isinstance(value, property):
            lines.append(f"- **`{member}`** {_first(doc)}")
        elif inspect.isfunction(value) or isinstance(value, classmethod):
            function = value.__func__ if isinstance(value, classmethod) else value
            lines.append(f"- **`{member}{_signature(function)}`** {_first(doc)}")
    return "\n".join(lines) + "\n"


def _members(thing: type) -> dict[str, Any]:
    """Its own, and those of what it is made of here."""
    found: dict[str, Any] = dict(vars(thing))
    for base in thing.__mro__[1:]:
        if base.__module__.startswith("im_"):
            found |= {name: value for name, value in vars(base).items() if name not in found}
    return found


def _head(name: str, thing: type) -> str:
    if issubclass(thing, BaseModel | Exception) or "__init__" not in vars(thing):
        return f"class {name}"
    return f"class {name}{_signature(vars(thing)['__init__'])}"


def _signature(function: Any) -> str:
    try:
        text = str(inspect.signature(function))
    except (TypeError, ValueError):
        return ""
    # annotations are strings: take the quotes off them, but not off defaults
    text = re.sub(r"(: |-> )(['\"])(.*?)\2(?=[,) ]|$)", r"\1\3", text)
    text = re.sub(r"\((self|cls)(, )?", "(", text).removesuffix(" -> None")
    return re.sub(r"<(?:[^<>]|<[^>]*>)*>", "…", text)


def _fields(model: type[BaseModel]) -> str:
    """Fields with their defaults; what stands as a comment above each in the source is its text."""
    comments = _comments(model)
    rows = ["| field | default | |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else f"`{_default(field.default)}`"
        rows.append(f"| `{name}` | {default} | {comments.get(name, '')} |")
    return "\n".join(rows) + "\n"


def _default(value: Any) -> str:
    return f"{type(value).__name__}()" if isinstance(value, BaseModel) else repr(value)


def _comments(model: type[BaseModel]) -> dict[str, str]:
    found: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.getsource(model).splitlines():
        text = line.strip()
        if text.startswith("#:"):
            above.append(text.removeprefix("#:").strip())
        elif above and (match := re.match(r"(\w+):", text)):
            found[match[1]] = " ".join(above).replace("|", "\\|")
            above = []
    return found


def _doc(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


def _row(value: object) -> str:
    text = value if isinstance(value, str) else _first(_doc(value))
    return text.replace("|", "\\|")


def _unqualified(text: str) -> str:
    """A type without the modules of its names; the union of all events by its own."""
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", text.replace(str(Event), "Event"))


def _first(doc: str) -> str:
    return doc.partition("\n\n")[0].replace("\n", " ")


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def main(arguments: list[str]) -> int:
    """Write the page, or with --check compare it."""
    page = reference()
    if "--check" in arguments:
        if PAGE.read_text(encoding="utf-8") != page:
            print(f"{PAGE.name} is stale: run `make docs`", file=sys.stderr)  # noqa: T201
            return 1
        return 0
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
