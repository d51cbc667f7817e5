from __future__ import annotations

import json
from argparse import ArgumentTypeError
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from stack.config.populating import NotHere, populate
from stack.config.seeding import OnlyStrangers


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"{text} is no whole number above 0")
    return number


class Command(BaseCommand):
    help = "Add chats with weeks of messages between the test users and fifty others; all clients load a snapshot."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--chats", type=_count, default=200, metavar="N", help="how many (200)")
        parser.add_argument("--messages", type=_count, default=20_000, metavar="N", help="how many in all (20000)")
        parser.add_argument("--seed", type=int, default=1, metavar="N", help="another one makes other chats (1)")
        parser.add_argument("--json", action="store_true", help="print what was made as JSON and nothing else")

    def handle(self, *args: Any, chats: int, messages: int, seed: int, **options: Any) -> None:
        try:
            made = populate(chats=chats, messages=messages, seed=seed, until=timezone.now())
        except (NotHere, OnlyStrangers) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(made)))
        else:
            self.stdout.write(f"Made {made.chats} chats with {made.messages} messages of {made.people} people.")
