from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from stack.accounts.actors import actors_create


class Command(BaseCommand):
    help = "Make users that are signed in already, for simulated people: actors --count 20 --json"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--count", type=int, required=True, metavar="N", help="how many")
        parser.add_argument("--json", action="store_true", help="print them with their session keys, as JSON")

    def handle(self, *args: Any, count: int, **options: Any) -> None:
        if settings.STACK_ENV == "production":
            raise CommandError("Actors are not made in production: anyone holding their sessions would be signed in.")
        if count < 1:
            raise CommandError("--count must be at least 1.")
        actors = actors_create(count=count)
        if options["json"]:
            self.stdout.write(_dump(actors))
        else:
            names = actors[0].name if count == 1 else f"{actors[0].name} to {actors[-1].name}"
            self.stdout.write(f"Made {count} actors: {names}. Use --json to get their sessions.")


def _dump(actors: Any) -> str:
    return json.dumps([{"name": a.name, "user": a.user, "session": a.session, "role": "user"} for a in actors])
