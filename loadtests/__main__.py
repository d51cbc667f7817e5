"""``python -m loadtests``: starts a throwaway stack, makes people, lets locust play, ends the stack.

Locust runs in a process of its own and knows only the addresses and the people. A stack that is up in this
checkout is left alone. The exit code is 0 if nothing failed and nothing was lost.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import SERVICE_CHOICES, HarnessError, RunningStack, StackOptions, fault, start_stack

HERE = Path(__file__).resolve().parent
PEOPLE_PER_USER = 3
"""The cast of the chat scenario."""
GRACE = 120.0
"""Seconds beyond the run time that locust may take to start, to let plays end and to write its report."""
ALL_WITHIN = 10.0
"""Seconds after which all users play: who begin together would all sign in together."""
LAST_WORDS = 5.0
"""Seconds that locust gets to end when nobody waits for its report any more."""
UNITS = {"h": 3600, "m": 60, "s": 1}


def main() -> int:
    """Run it all; the exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        stack_options = StackOptions(services=options.services, scale={"backend": 2}, proxies=bool(options.breaks))
        with start_stack(stack_options) as stack:
            print(f"run {stack.run_id}: {', '.join(stack.backends)}", flush=True)
            people = stack.folder / "people.json"
            count = str(PEOPLE_PER_USER * options.users)
            made = stack.manage("actors", "--count", count, "--json", timeout=GRACE)
            if made.returncode != 0:
                print(f"People could not be made: {made.stderr.strip()[-500:]}", file=sys.stderr)
                return 1
            # Sessions are as good as passwords.
            people.touch(mode=0o600)
            people.write_text(made.stdout, encoding="utf-8")
            html = options.html or stack.folder / "load.html"
            with _breaking(stack, options.breaks, run_time=options.run_time):
                code = _locust(options, stack, people=people, html=html)
            print(f"report: {html}")
            return code
    except HarnessError as error:
        print(f"{error} {error.hint}".strip(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _terminated(number: int, _frame: object) -> None:
    # Once: the way out must not be cut short by a second request.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _locust(options: argparse.Namespace, stack: RunningStack, *, people: Path, html: Path) -> int:
    command = [sys.executable, "-m", "locust", "-f", str(HERE / "chat.py"), "--host", ",".join(stack.backends)]
    command += ["--headless", "--only-summary", "--html", str(html), "--loglevel", "WARNING"]
    command += ["--users", str(options.users), "--spawn-rate", str(max(1.0, options.users / ALL_WITHIN))]
    command += ["--run-time", f"{options.run_time}s"]
    # What carries the run's id ends with the run, even if nobody is left here to end it.
    own = {"ACTORS": str(people), "PYTHONUNBUFFERED": "1", "HARNESS_RUN": stack.run_id}
    deadline = options.run_time + GRACE
    with subprocess.Popen(command, env={**os.environ, **own}, cwd=HERE.parent) as locust:
        try:
            return locust.wait(deadline)
        except subprocess.TimeoutExpired:
            print(f"Locust did not end within {deadline:g} s and was killed.", file=sys.stderr)
            return 1
        finally:
            _end(locust)


@contextmanager
def _breaking(stack: RunningStack, wanted: list[str], *, run_time: float) -> Iterator[None]:
    """Break something for the middle third of the run time. Raises HarnessError if it could not be broken."""
    over, trouble = threading.Event(), list[HarnessError]()

    def work() -> None:
        kind, how, *settings = wanted
        values = {name: float(value) for name, _, value in (setting.partition("=") for setting in settings)}
        over.wait(run_time / 3)
        try:
            with fault(stack, kind, how, **values) as breach:
                print(f"broken: {breach.what}", flush=True)
                over.wait(run_time / 3)
                figures = ", ".join(f"{name} {value:g}" for name, value in breach.figures().items())
            print(f"whole again: {', '.join(breach.names)} {figures}".rstrip(), flush=True)
        except HarnessError as error:
            trouble.append(error)

    thread = threading.Thread(target=work, name="breaking")
    if wanted:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if wanted:
            thread.join()
    if trouble:
        raise trouble[0]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(LAST_WORDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests",
        description="Play the chat scenario by many at once on a throwaway stack.",
        epilog="Examples: python -m loadtests --users 50 --run-time 2m --html load.html;"
        " python -m loadtests --users 20 --run-time 60s --break redis killed",
    )
    parser.add_argument("--users", "-u", type=_positive, default=20, help="plays at the same time (default: 20)")
    parser.add_argument("--run-time", "-t", type=_seconds, default=30, help="30s, 2m, 1h30m (default: 30s)")
    parser.add_argument("--html", type=Path, help="where the report goes (default: load.html in the run folder)")
    parser.add_argument("--services", choices=SERVICE_CHOICES, default="auto", help="source of Postgres and Redis")
    parser.add_argument(
        "--break",
        dest="breaks",
        nargs="+",
        default=[],
        metavar=("KIND HOW", "NAME=NUMBER"),
        help="break something for the middle third, as `harness fault --list` shows: --break redis killed",
    )
    options = parser.parse_args()
    if options.breaks and (len(options.breaks) < 2 or not all(map(_is_setting, options.breaks[2:]))):
        parser.error("--break wants KIND HOW [NAME=NUMBER]..., such as: --break redis latency seconds=0.2")
    return options


def _is_setting(text: str) -> bool:
    return bool(re.fullmatch(r"\w+=\d+(\.\d+)?", text))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of users")
    return int(text)


def _seconds(text: str) -> int:
    if text.isdecimal():
        text = f"{text}s"
    if not re.fullmatch(r"(\d+h)?(\d+m)?(\d+s)?", text) or not text:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 30s, 2m or 1h30m")
    seconds = sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([hms])", text))
    if not seconds:
        raise argparse.ArgumentTypeError("nothing can be played in no time: give at least 1s")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
