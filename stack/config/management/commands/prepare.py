from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.db import connection

from stack.accounts.models import User
from stack.accounts.sessions import SessionStore
from stack.config.environment import StackEnv
from stack.config.management.commands.seed import Command as SeedCommand
from stack.config.ownership import foreign_tables, tables
from stack.config.seeding import OnlyStrangers, refuse_strangers
from stack.live.renewal import start_over


class Command(SeedCommand):
    help = (
        "Bring the database up to date: migrations, live triggers, test users (not in production); expired sessions go."
    )
    # The checks look at the tables that this makes.
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--users", metavar="FILE", type=Path, help="write the users as JSON, readable by you only")

    def handle(self, *args: Any, users: Path | None, **options: Any) -> None:
        production = settings.STACK_ENV is StackEnv.PRODUCTION
        if production and users is not None:
            raise CommandError("In production prepare makes no users: leave out --users, or use seed --users FILE.")
        # At once and with the reason, where the pool would try for seconds and then not know why.
        try:
            psycopg.connect(**connection.get_connection_params()).close()
        except psycopg.OperationalError as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database of DATABASE_URL can't be reached: {reason}.") from error
        self._refuse_others()
        call_command("migrate", interactive=False, verbosity=options["verbosity"], stdout=self.stdout)
        SessionStore.clear_expired()
        if not production:
            seeded = self.seed(users=users)
            if len(seeded.new_users) == len(seeded.users):
                # Nobody has seen this database yet, so nobody needs to be told what it was filled with.
                start_over()

    def _refuse_others(self) -> None:
        """Look before anything is written: DATABASE_URL may name a database that is not meant."""
        if foreign := foreign_tables():
            raise CommandError(
                f"The database {connection.settings_dict['NAME']!r} of DATABASE_URL holds another application's "
                f"tables, such as {foreign[0]}: name an empty database."
            )
        if User._meta.db_table in tables():
            try:
                refuse_strangers()
            except OnlyStrangers as error:
                raise CommandError(str(error)) from error
