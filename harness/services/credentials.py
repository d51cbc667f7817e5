"""Passwords of a data folder: made once, kept beside it for its owner alone."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import DataUnusable
from harness.folders import write_private

FILE = "credentials.json"


@dataclass(frozen=True)
class Credentials:
    """Passwords of the two servers and the application's signing key; safe inside URLs as they are."""

    postgres: str
    redis: str
    secret_key: str

    @classmethod
    def load_or_make(cls, folder: Path) -> Credentials:
        """The ones kept in ``folder``, made at random the first time."""
        path = folder / FILE
        if path.exists():
            return cls.load(path)
        made = cls(postgres=secrets.token_hex(24), redis=secrets.token_hex(24), secret_key=secrets.token_urlsafe(48))
        write_private(path, json.dumps(asdict(made)))
        return made

    @classmethod
    def load(cls, path: Path) -> Credentials:
        """The ones kept in the file ``path``."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            raise DataUnusable(
                f"{path} does not hold the passwords of the data beside it.",
                hint=f"Restore the file, or move {path.parent} away to start with fresh data.",
            ) from None
