"""What answers a client's HTTP calls: a session service that is well, or anything else."""

from __future__ import annotations

import json
import random

from ...client import actions as act
from ...client import inputs as inp

_SESSION = {"id": 7, "bookId": 1, "buyerId": 1, "sellerId": 2, "sessionStatus": 1, "expireTime": 0}


def answer(
    rng: random.Random, call: act.CallHttp, *, well: bool
) -> inp.HttpAnswered | inp.HttpFailed | None:
    """The answer to a call; None: there is none."""
    good: object = [_SESSION] if "getCurrent" in call.url else _SESSION
    if "create" in call.url or call.url.endswith("/add"):
        good = 7
    body = json.dumps({"code": 0, "data": good, "message": ""}).encode()
    if well or rng.random() < 0.3:
        return inp.HttpAnswered(request=call.request, status=200, body=body)
    kind = rng.randrange(5)
    if kind == 0:
        return None
    if kind == 1:
        return inp.HttpFailed(request=call.request, reason="connection reset")
    if kind == 2:
        status = rng.choice((301, 400, 401, 403, 404, 429, 500, 503))
        wait = rng.choice((None, 0.5))
        return inp.HttpAnswered(request=call.request, status=status, body=b"no", retry_after=wait)
    if kind == 3:
        code = rng.choice((401, 40101, 40400, 403, 400, 50000))
        body = json.dumps({"code": code, "data": None, "message": "no"}).encode()
        return inp.HttpAnswered(request=call.request, status=200, body=body)
    body = rng.choice((b"", b"{", body[:-5], b"[]", b"x" * (call.limit + 1), b'{"code": "x"}'))
    return inp.HttpAnswered(request=call.request, status=200, body=body)
