"""What the tests of the doctor share."""

from __future__ import annotations

from pathlib import Path

from harness.doctor.check import Finding


def has(found: Finding, state: str, *texts: str) -> None:
    """Asserts the state, and that each text stands in the finding or in its fix."""
    assert found.state == state, found
    for text in texts:
        assert text in f"{found.text} -> {found.fix}"


def write(path: Path, text: str, *, mode: int = 0o644) -> Path:
    """Writes a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path
