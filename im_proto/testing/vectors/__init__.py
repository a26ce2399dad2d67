"""Conformance vectors: what a client's engine does, as data (docs/vectors.md).

Each vector is one process of a client from its start: a configuration, what its journal held, what
its random source gave, and then (now, input) -> actions and deadline, step by step. An engine in
another language replays them and has to do the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from .choice import as_line, choose
from .lives import Cores, Difference, Life, replay
from .plain import Plain
from .scenes import lives_of_a_scene
from .scripts import lives_of_scripts
from .worlds import lives_in_a_world

#: Steps of one vector, at the most.
STEPS: Final = 40
#: Bytes of all files together, about.
BUDGET: Final = 2_800_000
#: Vectors in one file.
_IN_A_FILE: Final = 100
#: Scenes for each world: they are shorter, and stranger.
_SCENES: Final = 10


def record(
    seeds: int,
    *,
    budget: int = BUDGET,
    progress: Callable[[int], object] = lambda done: None,
) -> list[Plain]:
    """Live through scripts, worlds and scenes, and keep what tells most of the last two.

    The same `seeds` give the same.

    Args:
        seeds: how many worlds.
        budget: bytes of the lines of worlds and scenes together, about.
        progress: is told after each seed how many are done.
    """
    scripted = [life.vector(name, len(life.steps)) for name, life in lives_of_scripts()]
    return scripted + choose(_lives(seeds, progress), steps=STEPS, budget=budget, good=_good)


def _lives(seeds: int, progress: Callable[[int], object]) -> Iterator[tuple[str, Life]]:
    for seed in range(seeds):
        for number, life in enumerate(lives_in_a_world(seed, STEPS)):
            yield f"world {seed}.{number}", life
        for scene in range(seed * _SCENES, (seed + 1) * _SCENES):
            for number, life in enumerate(lives_of_a_scene(scene, STEPS)):
                yield f"scene {scene}.{number}", life
        progress(seed + 1)


def _good(vector: Plain) -> bool:
    """Some lives hang on what is not told, such as the digests in a journal."""
    return replay(json.loads(as_line(vector))) is None


def write(vectors: list[Plain], folder: Path) -> list[Path]:
    """Write them to `client-*.jsonl` in a folder, in place of what stood there."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("client-*.jsonl"):
        old.unlink()
    paths = []
    for at in range(0, len(vectors), _IN_A_FILE):
        path = folder / f"client-{at // _IN_A_FILE + 1:02}.jsonl"
        lines = [as_line(vector) for vector in vectors[at : at + _IN_A_FILE]]
        path.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")
        paths.append(path)
    return paths


def read(folder: Path) -> Iterator[Plain]:
    """All vectors of a folder."""
    for path in sorted(folder.glob("client-*.jsonl")):
        for line in path.read_text(encoding="ascii").splitlines():
            yield json.loads(line)


__all__ = ["BUDGET", "STEPS", "Cores", "Difference", "read", "record", "replay", "write"]
