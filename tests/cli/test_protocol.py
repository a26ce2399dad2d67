"""`im protocol`: a summary, all of it as JSON, and vectors."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from im_cli.app import app
from im_proto.description import describe
from im_proto.testing.vectors import read, replay


def test_json_is_what_the_code_tells_and_nothing_else() -> None:
    result = CliRunner().invoke(app, ["protocol", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == describe(inspect.getsource)


def test_the_summary_names_messages_machines_closes_errors_and_deadlines() -> None:
    result = CliRunner().invoke(app, ["protocol"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    for word in (
        *("AUTH_REQUEST", "KICK", "server_connection", "the token has expired"),
        *("comes back with a new token", "stays away", "IN_DOUBT", "HEARTBEAT_DUE"),
    ):
        assert word in result.stdout
    assert f"{len(describe()['events'])} events" in result.stdout


@pytest.mark.slow
def test_vectors_are_recorded_and_hold(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    result = CliRunner().invoke(app, ["protocol", "--vectors", str(folder), "--seeds", "1"])
    assert result.exit_code == 0, result.output
    vectors = list(read(folder))
    assert result.stdout.startswith(f"{len(vectors)} vectors, ")
    assert vectors
    assert not any(map(replay, vectors))


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "under")
    result = CliRunner().invoke(app, ["protocol", "--vectors", folder, "--seeds", "1"])
    assert result.exit_code == 1
    assert "can't write" in result.output
