"""The licences that what we need may have, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

_FREE: Final = "permissive: keep the notice"
ALLOWED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "0BSD", "Apache-2.0", "Apache Software License", "BSD License", "BSD-2-Clause",
            "BSD-3-Clause", "CC0-1.0", "ISC", "ISC License (ISCL)", "MIT", "MIT License", "MIT-0",
            "PSF-2.0", "Python Software Foundation License", "The Unlicense (Unlicense)",
            "Unlicense", "Zlib",
        ),
        _FREE,
    ),
    "MPL-2.0": "copyleft of its own files alone, and we change none of them",
    "Mozilla Public License 2.0 (MPL 2.0)": "the same",
}  # fmt: skip
#: Packages that say it in a file alone, after a look into that file.
LOOKED_AT: Final[Mapping[str, str]] = {
    "atheris": "Apache-2.0",
    "kosoku": "MIT",
}
_OR: Final = re.compile(r"\s+OR\s+")
_AND: Final = re.compile(r"\s+AND\s+|;\s*")
#: A classifier among the licences that is none: much may be called so.
_PRAISE: Final = re.compile(r"DFSG approved;\s*")


def allowed(licence: str) -> bool:
    """Is it in the list? Of `A OR B` one is enough; of `A AND B`, or of several classifiers, all
    have to be."""
    licence = _PRAISE.sub("", licence)
    if licence in ALLOWED:  # names of classifiers have brackets in them
        return True
    return any(
        all(one.strip() in ALLOWED for one in _AND.split(way.strip("() ")))
        for way in _OR.split(licence)
    )


def refused(packages: Iterable[tuple[str, str]]) -> list[str]:
    """Of (name, licence) those that are not in the list."""
    found = []
    for name, licence in packages:
        known = LOOKED_AT.get(name, licence) if licence == "UNKNOWN" else licence
        if not allowed(known):
            found.append(f"{name}: {licence}")
    return found
