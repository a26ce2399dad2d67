"""Hypothesis strategies of everything that im-proto's engines read, hear and are told.

    wire      messages, envelopes, frames as text        what stands on the wire
    streams   whole WebSocket streams, broken ones       in the chunks that a socket gives
    inputs    every input of every engine
    configs   configurations, and clocks that are no good

A name without parentheses is a strategy; what takes arguments is a function that returns one.
What is called garbage is everything else that a peer may send.
"""

from .configs import client_configs, clocks, server_configs
from .inputs import (
    CLIENT_INPUTS,
    SERVER_INPUTS,
    client_core_inputs,
    client_inputs,
    server_engine_inputs,
    server_inputs,
    session_answers,
)
from .streams import (
    SAMPLE_KEY,
    ByteStream,
    Role,
    SampleKey,
    byte_streams,
    chunks,
    encode_frame,
    garbage_bytes,
    garbage_streams,
    upgrade_answer,
    upgrade_request,
)
from .wire import (
    MESSAGES,
    client_messages,
    contents,
    envelopes,
    frames,
    garbage_frames,
    ids,
    ids_or_zero,
    json_values,
    server_messages,
    user_ids,
    user_names,
)

__all__ = [
    "CLIENT_INPUTS",
    "MESSAGES",
    "SAMPLE_KEY",
    "SERVER_INPUTS",
    "ByteStream",
    "Role",
    "SampleKey",
    "byte_streams",
    "chunks",
    "client_configs",
    "client_core_inputs",
    "client_inputs",
    "client_messages",
    "clocks",
    "contents",
    "encode_frame",
    "envelopes",
    "frames",
    "garbage_bytes",
    "garbage_frames",
    "garbage_streams",
    "ids",
    "ids_or_zero",
    "json_values",
    "server_configs",
    "server_engine_inputs",
    "server_inputs",
    "server_messages",
    "session_answers",
    "upgrade_answer",
    "upgrade_request",
    "user_ids",
    "user_names",
]
