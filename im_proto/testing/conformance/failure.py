"""How a case says that the adapter does not conform."""

from __future__ import annotations


class Failed(AssertionError):
    """The adapter did not do what it must; the text says what happened instead."""


class Skipped(Exception):
    """The case can't be run: this machine, or this adapter, lacks what it needs."""
