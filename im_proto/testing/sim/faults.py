"""What goes wrong: all faults, by name."""

from __future__ import annotations

from . import link_faults as _links  # these fill the registry, in this order

from . import life_faults as _lives  # isort: skip
from . import journal_faults as _journals  # isort: skip
from . import site_faults as _sites  # isort: skip
from . import flood_faults as _floods  # isort: skip
from .registry import FAULTS, Fault, describe

__all__ = ["FAULTS", "Fault", "describe"]

_ = _links, _lives, _journals, _sites, _floods
