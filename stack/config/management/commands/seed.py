from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from stack.config.environment import StackEnv
from stack.config.seeding import OnlyStrangers, Seeded, seed, write_secret


class Command(BaseCommand):
    help = "Make sure that the test users, the admin and their chats exist. Running it again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--users", metavar="FILE", type=Path, help="write the users as JSON, readable by you only")
        parser.add_argument("--json", action="store_true", help="print the users as JSON and nothing else")

    def handle(self, *args: Any, users: Path | None, **options: Any) -> None:
        as_json = options["json"]
        if settings.STACK_ENV is StackEnv.PRODUCTION and (users is None or as_json):
            raise CommandError(
                "In production generated passwords go to a file, never to the terminal: use seed --users FILE."
            )
        self.seed(users=users, as_json=as_json)

    def seed(self, *, users: Path | None, as_json: bool = False) -> Seeded:
        """Seed and say what was made; generated passwords are told this once, to one place."""
        # Whoever can't be told of is not made.
        with transaction.atomic():
            try:
                seeded = seed()
            except OnlyStrangers as error:
                raise CommandError(str(error)) from error
            if users is not None:
                try:
                    write_secret(users, seeded.as_json())
                except OSError as error:
                    raise CommandError(f"{users} can't be written: {error.strerror}.") from error
        self._tell(seeded, with_passwords=users is None, as_json=as_json)
        return seeded

    def _tell(self, seeded: Seeded, *, with_passwords: bool, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(seeded.as_json()))
            return
        self.stdout.write(f"Seeded: {len(seeded.new_users)} new users, {seeded.new_chats} new chats.")
        if with_passwords:
            for user in seeded.new_users:
                self.stdout.write(f"  {user.role:5}  {user.name:6}  {user.password}")
