"""How large a browser's window is and what its owner prefers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window of `width` x `height` CSS pixels; `dark` and `calm` are what its owner told the system to prefer."""

    width: int = 1280
    height: int = 800
    dark: bool = False
    calm: bool = False
    """Less movement, please."""
    touch: bool = False
    """A finger instead of a mouse."""


LAPTOP = Window()
PHONE = Window(width=390, height=844, touch=True)
