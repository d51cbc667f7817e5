"""What an engine changes in the machine's network, written down before and put back after.

Engines forward between networks, filter what they forward and make bridges, and leave all that behind.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SWITCHES = (
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv6/conf/all/forwarding",
    "/proc/sys/net/ipv6/conf/default/forwarding",
)
_LINKS = Path("/sys/class/net")
_TOOLS = ("iptables", "ip6tables")
_OURS = "DOCKER"
_WITHIN = 10.0


@dataclass(frozen=True, kw_only=True)
class Network:
    """``switches``: files of the kernel and what they say; ``rules``: as each tool saves them; ``links``: names."""

    switches: Mapping[str, str]
    rules: Mapping[str, str]
    links: tuple[str, ...]

    @classmethod
    def now(cls) -> Network:
        """The network of this machine as it is."""
        return cls(
            switches={path: Path(path).read_text().strip() for path in _SWITCHES if Path(path).exists()},
            rules={tool: _saved(tool) for tool in _TOOLS if shutil.which(f"{tool}-save")},
            links=tuple(sorted(path.name for path in _LINKS.iterdir())) if _LINKS.exists() else (),
        )

    def restore(self) -> None:
        """Take away what an engine has added since, and set back what it has set; what others did stays."""
        made = [link for link in Network.now().links if link not in self.links and _is_engines(link)]
        for tool, before in self.rules.items():
            _restore_rules(tool, before, made)
        for link in made:
            _run("ip", "link", "delete", link)
        for path, value in self.switches.items():
            if Path(path).read_text().strip() != value:
                Path(path).write_text(value)


def _is_engines(link: str) -> bool:
    return link == "docker0" or link.startswith(("br-", "veth"))


def _restore_rules(tool: str, before: str, links: list[str]) -> None:
    tables, kept = _tables(_saved(tool)), _tables(before)
    for table, lines in tables.items():
        former = kept.get(table, [])
        added = [line for line in lines if line not in former]
        for line in added:
            if line.startswith("-A ") and (_OURS in line or any(f" {link} " in f"{line} " for link in links)):
                _run(tool, "-t", table, "-D", *shlex.split(line)[1:])
        chains = [line[1:].split()[0] for line in added if line.startswith(f":{_OURS}")]
        for chain in chains:
            _run(tool, "-t", table, "-F", chain)
        for chain in chains:
            _run(tool, "-t", table, "-X", chain)
        policy = next((line.split()[1] for line in former if line.startswith(":FORWARD ")), "ACCEPT")
        if any(line.startswith(":FORWARD DROP") for line in lines) and policy == "ACCEPT":
            _run(tool, "-t", table, "-P", "FORWARD", "ACCEPT")
        if table not in kept:
            # Without a name: what is empty goes, the built-in chains too where the kernel lets them.
            _run(tool, "-t", table, "-X")


def _tables(saved: str) -> dict[str, list[str]]:
    """The lines of each table, without counters and comments."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            lines = found.setdefault(line[1:].strip(), [])
        elif line.startswith(":"):
            lines.append(line.split(" [")[0])
        elif line.startswith("-"):
            lines.append(line)
    return found


def _saved(tool: str) -> str:
    return _run(f"{tool}-save").stdout


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_WITHIN)
