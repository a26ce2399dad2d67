"""What changed in the tables from release to release, carried out by Alembic.

A new file is made from `tables.py` at once; only one of an older release comes through here. Its
revision is the `schema_version` in `meta`, which every release has read; Alembic's own table only
follows it. To make a new revision: a file in `versions/`, and the same in `tables.py`.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

__all__ = ["upgrade"]


def upgrade(connection: Connection, version: int, target: str = "head") -> None:
    """Bring the tables from a version to the newest one.

    Args:
        connection: inside a transaction that may write. What goes wrong in it is raised as it
            comes, and nothing may be kept then.
        version: of the tables as they are; 0 for none at all.
        target: where to, if not to the newest revision.
    """
    config = Config(attributes={"connection": connection})
    # A percent sign in the path would be an interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    if version:
        command.stamp(config, f"{version:04}")
    command.upgrade(config, target)
