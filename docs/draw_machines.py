"""Draws the state machines: `state-machines.md` for readers, `machines.snapshot.txt` for diffs.

    python docs/draw_machines.py            write both
    python docs/draw_machines.py --check    write nothing; exit 1 and name what is stale

Both come from the machine classes alone: the diagrams from the library, the tables from what the
engine runs, the words from the docstrings beside each state.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from statemachine import StateMachine  # noqa: E402

from im_proto.machines import MACHINES, Table, compile_machine  # noqa: E402
from im_proto.machines.product import RULES  # noqa: E402

INTRO = """\
# State machines

<!-- Made by `python docs/draw_machines.py`. Change the classes in im_proto/machines, not this. -->

What the protocol engine can be doing, and what may happen next, is seven machines: the client has
one each of connection, auth, heartbeat and reconnect and one delivery per outgoing message; the
server has one per connection; a session has one on both sides. Each is a class in
`im_proto/machines`, compiled at import to a table `(state, event) -> state`. An event that a state
does not know is an error that names both and changes nothing. The diagrams show names in words
(`Open requested`); the tables show them as they stand in the code (`open_requested`).
"""

PRODUCT = """\
## Which states go together

The client's machines move apart, but not freely. The tests check after every step that these hold:
"""


def state_docs(machine: type[StateMachine]) -> dict[str, str]:
    """The docstring below each state of the class, in the order of the source.

    A state without one is missing here.
    """
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(machine))).body
    assert isinstance(body, ast.ClassDef)
    states = {state.id for state in machine.states}
    docs: dict[str, str] = {}
    for statement, below in zip(body.body, body.body[1:], strict=False):
        match statement, below:
            case (
                ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ) if name in states:
                docs[name] = " ".join(text.split())
    return docs


def snapshot() -> str:
    """Events × states of every machine; a cell is the state that the event leads to."""
    tables = [_grid(compile_machine(machine)) for machine in MACHINES]
    return "\n\n".join(tables) + "\n"


def _grid(table: Table) -> str:
    head = ["", *table.states]
    rows = [
        [event, *(table.next(s, event) if table.knows(s, event) else "." for s in table.states)]
        for event in table.events
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]
    final = ", ".join(state for state in table.states if state in table.final) or "none"
    return "\n".join([f"{table.name}: initial {table.initial}, final {final}", "", *lines])


def state_machines_md() -> str:
    """The page for readers."""
    rules = "\n".join(f"- {rule.sentence}" for rule in RULES)
    return "\n".join([INTRO, *map(_section, MACHINES), f"{PRODUCT}\n{rules}\n"])


def _section(machine: type[StateMachine]) -> str:
    table = compile_machine(machine)
    docs = state_docs(machine)
    rows = []
    for state in table.states:
        words = docs.get(state, "").replace("|", r"\|")
        events = ", ".join(f"`{event}`" for event in table.events if table.knows(state, event))
        rows.append(f"| `{state}`{_mark(table, state)} | {words} | {events} |")
    module = inspect.getdoc(inspect.getmodule(machine)) or ""
    return "\n".join(
        [
            f"## {machine.__name__}\n",
            f"{module}\n",
            f"{inspect.getdoc(machine)}\n",
            f"```mermaid\n{format(machine, 'mermaid').rstrip()}\n```\n",
            "| state | | events |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _mark(table: Table, state: str) -> str:
    return " (initial)" if state == table.initial else " (final)" if state in table.final else ""


def pages() -> dict[str, str]:
    """What each file should hold, by its name in docs/."""
    return {"machines.snapshot.txt": snapshot(), "state-machines.md": state_machines_md()}


def main(arguments: list[str], folder: Path = DOCS) -> int:
    """Write the files, or with `--check` say which are stale."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python docs/draw_machines.py [--check]\n")
        return 2
    stale = 0
    for name, text in pages().items():
        file = folder / name
        if not arguments:
            file.write_text(text, encoding="utf-8", newline="\n")
        elif not file.is_file() or file.read_text(encoding="utf-8") != text:
            sys.stderr.write(f"docs/{name} is stale: run python docs/draw_machines.py\n")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
