"""What a run has in a container engine, found by label and removed.

A run that uses an engine leaves a note in its folder, so that nobody asks an engine about runs that never did.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.folders import Folders, digest, write_private

if TYPE_CHECKING:
    from docker import DockerClient

NOTE = "containers.json"
PROJECT = "tims-stack"
_PREFIX = f"{PROJECT}."
_RUN = f"{_PREFIX}run"
_AGAIN = 3
_PATIENCE = 10.0


def labels(run: str, folders: Folders) -> dict[str, str]:
    """The labels of a run's containers and volumes."""
    return {**_checkout_labels(folders), _RUN: run}


def kept_labels(folders: Folders) -> dict[str, str]:
    """The labels of volumes that outlive the runs of a checkout."""
    return {**_checkout_labels(folders), f"{_PREFIX}kept": "yes"}


def _checkout_labels(folders: Folders) -> dict[str, str]:
    return {f"{_PREFIX}project": PROJECT, f"{_PREFIX}checkout": digest(str(folders.data))}


def note(folder: Path, address: str) -> None:
    """Write down in a run's folder that the run uses the engine at ``address``; before anything is made there."""
    write_private(folder / NOTE, json.dumps({"engine": address}))


def has_note(folder: Path) -> bool:
    """Whether a run may have something in an engine."""
    return (folder / NOTE).exists()


def remove_of(folder: Path) -> bool:
    """Remove the containers and volumes of the run in ``folder`` that are not kept; whether there were any.

    Costs nothing for runs that used no engine. What cannot be removed now stays for the next call.
    """
    from harness.containers import engine

    try:
        address = str(json.loads((folder / NOTE).read_text(encoding="utf-8"))["engine"])
    except (OSError, ValueError, KeyError):
        return False
    if not engine.is_there(address):
        if engine.is_gone(address):
            (folder / NOTE).unlink(missing_ok=True)
        return False
    removed = False
    with suppress(HarnessError), engine.client(address, timeout=_PATIENCE) as client:
        # Again, as one may just have been being made for a process that was killed.
        for _ in range(_AGAIN):
            if not _remove(client, f"{_RUN}={folder.name}"):
                (folder / NOTE).unlink(missing_ok=True)
                break
            removed = True
    return removed


def _remove(client: DockerClient, label: str) -> bool:
    """Remove what carries the label; whether there was anything."""
    from docker.errors import APIError

    containers = client.containers.list(all=True, ignore_removed=True, filters={"label": label})
    volumes = client.volumes.list(filters={"label": label})
    removals = [*(partial(found.remove, force=True, v=True) for found in containers)]
    removals += [partial(found.remove, force=True) for found in volumes]
    for remove in removals:
        try:
            remove()
        except APIError as error:
            # Gone already, or being removed by somebody else.
            if error.status_code not in (404, 409):
                raise
    return bool(removals)
