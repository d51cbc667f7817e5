from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from stack import notify
from stack.live import installing, log, renewal
from stack.live.db import repeatable_read
from stack.live.direct import use_direct_database
from stack.live.relay import Relay


class Command(BaseCommand):
    help = """The live engine: changes of the database to every client that may see them.

    manage.py live relay      turn changes into events, until SIGTERM; run two for a standby
    manage.py live status     where the event log stands, and what waits
    manage.py live install    bring the database triggers in step with the code (migrate does it too)
    manage.py live new-epoch  make every client load a fresh snapshot, as after a restore
    manage.py live start-over the same, and what waits to become events is forgotten: the snapshots hold it
    """

    requires_system_checks = ["models"]

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        for name, text in (
            ("relay", "Turn changes into events, until SIGTERM"),
            ("status", "Where the event log stands, and what waits"),
            ("install", "Bring the database triggers in step with the code"),
            ("new-epoch", "Make every client load a fresh snapshot"),
            ("start-over", "The same, without the events of what waits"),
        ):
            commands.add_parser(name, help=text)

    def execute(self, *args: Any, **options: Any) -> str | None:
        use_direct_database()
        return super().execute(*args, **options)

    def handle(self, *_args: Any, command: str, **_options: Any) -> None:
        getattr(self, command.replace("-", "_"))()

    def relay(self) -> None:
        # A second thread makes the loop's own signal handling needed: the default one would end it in mid-batch.
        asyncio.run(_run_relay())

    def status(self) -> None:
        with repeatable_read(read_only=True) as cursor:
            head = log.read_head(cursor)
            cursor.execute("SELECT count(*) FROM live_outbox")
            waiting = cursor.fetchone()[0]
        with connection.cursor() as cursor:
            problems = installing.problems(cursor)
        self.stdout.write(f"epoch {head.epoch or '-'} seq {head.seq}, {waiting} changes waiting")
        if problems:
            raise CommandError("; ".join(problems) + ". Run: manage.py live install")

    def install(self) -> None:
        changed = installing.install()
        self.stdout.write(f"{len(changed)} triggers installed" if changed else "All triggers are in step")

    def new_epoch(self) -> None:
        with repeatable_read() as cursor:
            log.lock_head(cursor)
            log.begin_new_life(cursor)
            head = log.read_head(cursor)
        self._tell(head)

    def start_over(self) -> None:
        self._tell(renewal.start_over())

    def _tell(self, head: log.Position) -> None:
        self.stdout.write(f"epoch {head.epoch} begins at seq {head.seq}")


async def _run_relay() -> None:
    relay = Relay(on_state=lambda _state: notify.ready())
    task = asyncio.create_task(relay.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        sys.stdout.write("relay: ended\n")
