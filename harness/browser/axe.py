"""What axe found in a page, for people to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NODES_SHOWN = 5


def violations_text(violations: Sequence[Mapping[str, Any]]) -> str:
    """A rule a paragraph: how grave, what it asks for, which elements break it and why."""
    return "\n".join(_violation(one) for one in violations)


def _violation(one: Mapping[str, Any]) -> str:
    nodes = one["nodes"]
    lines = [f"- {one['help']} ({one['id']}, {one['impact']}), {len(nodes)} times:"]
    for node in nodes[:NODES_SHOWN]:
        why = [line.strip() for line in str(node["why"]).splitlines()[1:] if line.strip()]
        lines.append(f"    {node['target']}: {'; '.join(why)}")
    if len(nodes) > NODES_SHOWN:
        lines.append(f"    and {len(nodes) - NODES_SHOWN} more")
    return "\n".join(lines)
