"""``python -m harness.containers COMMAND...``: run a command with a container engine and the two images."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

import psutil

from harness.containers import local, private
from harness.containers.engine import Engine, client
from harness.containers.images import have_image
from harness.errors import HarnessError, SourceUnusable
from harness.folders import Folders
from harness.services.containers import IMAGES, POSTGRES_IMAGE, REDIS_IMAGE
from harness.stack import sweep

USAGE = """\
Usage: python -m harness.containers COMMAND [ARGUMENT]...

Runs the command with a container engine: the one that answers, else (as root) Debian's, installed if need be,
started for this command alone and gone afterwards, with all that it changed on the machine. Images that are neither
here nor at a registry are made from the programs of the installed packages. The command gets DOCKER_HOST,
HARNESS_POSTGRES_IMAGE and HARNESS_REDIS_IMAGE; its exit code is the result.

Examples:
  python -m harness.containers harness scenario two_people_chat --services containers
  python -m harness.containers python -m pytest -m containers
"""
_INTERRUPTED = 130
_GRACE = 10.0
"""Seconds that the command gets to end."""


def main(arguments: Sequence[str]) -> int:
    """The command's exit code, or an error's after its sentence."""
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0 if arguments else 2
    try:
        return _run(arguments)
    except HarnessError as error:
        sys.stderr.write(f"{error}\n{error.hint}\n".rstrip("\n") + "\n")
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED


def _leave(number: int, _frame: FrameType | None) -> None:
    # An ordinary way out, on which everything is put back.
    sys.exit(128 + number)


def _run(command: Sequence[str]) -> int:
    cache = Folders.of_checkout().cache / "containers"
    with private.engine(cache, _tell) as (engine, is_private), _images(engine, is_private=is_private) as images:
        environment = {**os.environ, **images, "DOCKER_HOST": engine.address}
        try:
            with subprocess.Popen(command, env=environment) as process:
                try:
                    return process.wait()
                except BaseException as error:
                    _end(process, patience=_GRACE if isinstance(error, KeyboardInterrupt) else 0.0)
                    raise
        except FileNotFoundError as error:
            raise HarnessError(
                f"There is no program {command[0]!r}.", hint="See: python -m harness.containers"
            ) from error


def _end(process: subprocess.Popen[bytes], *, patience: float) -> None:
    """End the command and all below it; what got a Ctrl-C as well has ``patience`` seconds to end in its own way."""
    family = sweep.tree([process.pid])
    _, alive = psutil.wait_procs(family, timeout=patience)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for member in alive:
            sweep.send(member, number)
        _, alive = psutil.wait_procs(alive, timeout=_GRACE)


@contextmanager
def _images(engine: Engine, *, is_private: bool) -> Generator[Mapping[str, str]]:
    """The names of images that the engine has, by variable. Those made here go again from an engine of others."""
    wanted = {variable: os.environ.get(variable) or usual for variable, usual in IMAGES.items()}
    try:
        for variable, image in wanted.items():
            have_image(engine.address, image, variable=variable, tell=_tell)
    except SourceUnusable as error:
        if any(os.environ.get(variable) for variable in IMAGES):
            raise
        _tell(f"{error} Making both images here...")
    else:
        yield wanted
        return
    made = local.make_images(engine.address)
    try:
        yield {POSTGRES_IMAGE: made["postgres"], REDIS_IMAGE: made["redis"]}
    finally:
        if not is_private:
            with client(engine.address) as asked:
                for image in made.values():
                    asked.images.remove(image, force=True)


def _tell(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    sys.exit(main(sys.argv[1:]))
