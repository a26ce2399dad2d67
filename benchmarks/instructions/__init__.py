"""How many instructions the hot paths take: a guard that no other load of the machine disturbs.

Counted are Python's own instructions ("opcodes") in our files alone; what libraries do is not, nor
how long an instruction takes. The counts are exact, the same in each run, and hold for one minor
version of Python: baselines/3.11.json. `python -m benchmarks.instructions` prints them.
"""
