"""Benchmarks of this project and of its peers: `python -m benchmarks`. See README.md."""

#: The modules that have figures, in the order in which they are measured. Each has `rows(options)`,
#: `curves(options)` or both (harness.py).
MODULES: tuple[str, ...] = (
    "messages",
    "engine",
    "memory",
    "connects",
    "storm",
    "catchup",
    "growth",
    "simulation",
    "commits",
)
