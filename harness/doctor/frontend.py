"""Node.js, what npm installs, the build of the front end, and the browser that looks at it."""

from __future__ import annotations

import threading
from pathlib import Path

from harness.doctor.check import Check, Finding, Ground, ok, warn
from harness.errors import NodeMissing
from harness.frontend.node import Node, find_node

_one_at_a_time = threading.Lock()


def the_node(root: Path) -> Node:
    """The Node.js that a start would take, asked once for all checks. Raises `NodeMissing`."""
    with _one_at_a_time:
        return find_node(root)


def node(ground: Ground) -> Finding:
    """The Node.js that a start would take. Raises `NodeMissing`."""
    found = the_node(ground.folders.root)
    return ok(f"Node.js {found.version} ({found.binary})")


def packages(ground: Ground) -> Finding:
    """What npm installs."""
    from harness.frontend.packages import are_current

    try:
        the_node(ground.folders.root)
        current = are_current(ground.folders)
    except NodeMissing as error:
        return warn("can't be told without Node.js", fix=error.hint)
    if not current:
        return warn(
            "frontend/node_modules is missing or not in step with its lock file: the next start installs it, which"
            " takes a minute and the npm registry",
            fix="harness build --packages",
        )
    return ok("frontend/node_modules is in step with its lock file")


def build(ground: Ground) -> Finding:
    """The build of the front end as it is now."""
    from harness.frontend.build import present_build

    try:
        the_node(ground.folders.root)
        found = present_build(ground.folders)
    except NodeMissing as error:
        return warn("can't be told without Node.js", fix=error.hint)
    if found is None:
        return warn("this front end has not been built: the next start does it, in a minute", fix="harness build")
    return ok(f"the front end is built ({found.digest})")


def browser(ground: Ground) -> Finding:
    """A Chromium that runs. Raises `NoBrowser` if HARNESS_CHROMIUM names one that does not."""
    from harness.browser.chromium import Places, find_chromium

    found = find_chromium(Places(environ=ground.environ, cache=ground.folders.cache))
    if found is None:
        return warn(
            "there is no Chromium, so nobody in a scenario can sit at a browser before one is installed",
            fix="harness browser",
        )
    return ok(f"Chromium {found.version} ({found.path})")


CHECKS = (
    Check(name="node", look=node),
    Check(name="npm packages", look=packages),
    Check(name="front end", look=build),
    Check(name="browser", look=browser),
)
