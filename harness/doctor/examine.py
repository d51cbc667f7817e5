"""Runs checks beside each other, each with a deadline and none at the mercy of another."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Sequence

from harness.doctor.check import Check, Finding, Ground, Result, bad, warn
from harness.errors import HarnessError

WITHIN = 4.0
"""Seconds for all checks together, as they run beside each other."""
_LOGIN = re.compile(r"(://)[^/\s@]+@")


def examine(
    checks: Sequence[Check],
    ground: Ground,
    *,
    within: float = WITHIN,
    on_result: Callable[[Result], None] = lambda _result: None,
) -> tuple[Result, ...]:
    """The results in the order of `checks`; `on_result` is told each as it comes.

    A check that raises or is not done `within` seconds has that as its result; it never ends the others.
    """
    done: queue.SimpleQueue[Result] = queue.SimpleQueue()
    for check in checks:
        # A pool would wait at the end of the process for whatever hangs.
        threading.Thread(target=lambda check=check: done.put(_look(check, ground)), daemon=True).start()
    deadline = time.monotonic() + within
    results: dict[str, Result] = {}
    while len(results) < len(checks):
        try:
            result = done.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        results[result.name] = result
        on_result(result)
    for check in checks:
        if check.name not in results:
            late = _result(check, _late(within))
            results[check.name] = late
            on_result(late)
    return tuple(results[check.name] for check in checks)


def _look(check: Check, ground: Ground) -> Result:
    try:
        return _result(check, check.look(ground))
    except HarnessError as error:
        return _result(check, bad(str(error), fix=error.hint))
    except Exception as error:
        return _result(
            check,
            bad(
                f"can't be looked at ({type(error).__name__}: {error})",
                fix="If parts of the checkout are missing, bring them back; then: python3 noxfile.py -s build",
            ),
        )


def _late(within: float) -> Finding:
    return warn(f"no answer within {within:g} s", fix="The machine is busy, or something hangs: try it by itself.")


def _result(check: Check, finding: Finding) -> Result:
    return Result(
        name=check.name,
        state=finding.state,
        finding=_LOGIN.sub(r"\1", finding.text),
        fix=_LOGIN.sub(r"\1", finding.fix),
    )
