"""docs/vectors/wire.jsonl, against which clients in other languages are tested."""

from __future__ import annotations

import json
from pathlib import Path

from im_proto.testing.wire_vectors import lines
from im_proto.wire import SERVER_MESSAGES

FILE = Path(__file__).parents[2] / "docs" / "vectors" / "wire.jsonl"


def test_the_file_says_what_the_code_does_today() -> None:
    written = FILE.read_text("ascii").splitlines()
    drawn = list(lines())
    differs = next(
        (n for n, pair in enumerate(zip(written, drawn, strict=False)) if len({*pair}) > 1), None
    )
    assert written == drawn, (
        f"line {differs} differs: python -m im_proto.testing.wire_vectors > docs/vectors/wire.jsonl"
    )


def test_every_message_of_a_server_is_there_right_and_wrong() -> None:
    right, wrong = set(), set()
    for line in lines():
        vector = json.loads(line)
        for message in vector.get("gives", ()) if "read" in vector else ():
            if message["type"] == "Malformed":
                wrong.add(message["kind"])
            else:
                right.add(message["type"])
    fields = json.loads(next(lines()))["fields"]
    assert right == {*fields, "ChatAnswer", "Unknown"}
    # of a heartbeat's answer in the other dialect nothing can be wrong
    other = {"auth_response", "chat_message", "chat_response"}
    assert wrong == {"", *other, *(model.kind for model in SERVER_MESSAGES)}
