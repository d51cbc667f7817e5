from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from stack.config.seeding import Seeded, seed, write_secret


class Command(BaseCommand):
    help = "Make sure that the test users, the admin and their chats exist. Running it again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--users", metavar="FILE", type=Path, help="write the users as JSON, readable by you only")
        parser.add_argument("--json", action="store_true", help="print the users as JSON and nothing else")

    def handle(self, *args: Any, users: Path | None, **options: Any) -> None:
        self.tell(seed(), users=users, as_json=options["json"])

    def tell(self, seeded: Seeded, *, users: Path | None, as_json: bool = False) -> None:
        """Say what was made; generated passwords are told this once, to one place."""
        if users is not None:
            try:
                write_secret(users, seeded.as_json())
            except OSError as error:
                raise CommandError(f"{users} can't be written: {error.strerror}.") from error
        if as_json:
            self.stdout.write(json.dumps(seeded.as_json()))
            return
        self.stdout.write(f"Seeded: {len(seeded.new_users)} new users, {seeded.new_chats} new chats.")
        if users is None:
            for user in seeded.new_users:
                self.stdout.write(f"  {user.role:5}  {user.name:6}  {user.password}")
