"""The chat's page: what Vite has made of the TypeScript beside this, and how it is served.

`im serve` shows it at `/`; `IMServer(page=True)` wherever its `asgi()` is mounted. Needs the
extra: `pip install "im-proto[server]"`, and no Node: the built files are part of the package.

What is served: `/` and `/assets/…`, the page; `/im/page.json`, what it has to know; `/lib/…`, the
client, the Vue components and the custom elements as ES modules, which other sites may load too.
"""

from __future__ import annotations

from .files import BUILT, File, NotBuiltError, read
from .page import routes

__all__ = ["BUILT", "File", "NotBuiltError", "read", "routes"]
