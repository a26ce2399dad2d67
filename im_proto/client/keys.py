"""The application's own names for its sends: one key, one message, also after its end."""

from __future__ import annotations

from collections import OrderedDict

from .journal import OutgoingRecord


class Keys:
    """Which message has which key.

    Args:
        kept: seconds for which a key is remembered after the end of its message.
    """

    __slots__ = ("_ended", "_kept_ms", "_refs")

    def __init__(self, kept: float) -> None:
        self._kept_ms = kept * 1000
        self._refs: dict[str, int] = {}
        #: by ref, those with an end, in the order of their ends
        self._ended: OrderedDict[int, OutgoingRecord] = OrderedDict()

    def ref_of(self, key: str, wall_ms: int) -> int | None:
        """The message with that key; None: there is none, or its end is too long ago."""
        ref = self._refs.get(key)
        record = None if ref is None else self._ended.get(ref)
        return None if record is not None and self._too_old(record, wall_ms) else ref

    def ended(self, ref: int) -> OutgoingRecord | None:
        """The message of that ref, if it has a key and an end."""
        return self._ended.get(ref)

    def take(self, key: str, ref: int) -> None:
        """A message has this key now."""
        self._refs[key] = ref

    def free(self, key: str) -> None:
        """The message with this key is as if it had never been."""
        del self._refs[key]

    def keep(self, record: OutgoingRecord) -> None:
        """A message with a key has its end."""
        assert record.key is not None
        self._refs[record.key] = record.ref
        self._ended[record.ref] = record

    def forget_old(self, wall_ms: int) -> list[OutgoingRecord]:
        """Forget those whose end is too long ago: which."""
        gone = []
        while self._ended:
            record = next(iter(self._ended.values()))
            if not self._too_old(record, wall_ms):
                break
            gone.append(record)
            del self._ended[record.ref]
            if record.key is not None and self._refs.get(record.key) == record.ref:
                del self._refs[record.key]
        return gone

    def _too_old(self, record: OutgoingRecord, wall_ms: int) -> bool:
        return wall_ms - (record.ended_at or 0) > self._kept_ms
