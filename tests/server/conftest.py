"""Fixtures of the tests here."""

from server.server_kit import served

__all__ = ["served"]
