from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.db import connection

from stack.accounts.sessions import SessionStore
from stack.config.management.commands.seed import Command as SeedCommand
from stack.config.seeding import seed


class Command(SeedCommand):
    help = "Bring the database up to date: migrations, live triggers, test users; expired sessions go."
    # The checks look at the tables that this makes.
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--users", metavar="FILE", type=Path, help="write the users as JSON, readable by you only")

    def handle(self, *args: Any, users: Path | None, **options: Any) -> None:
        # At once and with the reason, where the pool would try for seconds and then not know why.
        try:
            psycopg.connect(**connection.get_connection_params()).close()
        except psycopg.OperationalError as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database of DATABASE_URL can't be reached: {reason}.") from error
        call_command("migrate", interactive=False, verbosity=options["verbosity"], stdout=self.stdout)
        SessionStore.clear_expired()
        self.tell(seed(), users=users)
