"""What the measured page shows: one chat with fifty messages, about 50 KB of page data."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from harness import HarnessError, RunningStack

ROWS = 50
MARK = "measured-row"
_ROW = re.compile(rf"{MARK} \d\d".encode())
TEXT_LENGTH = 790
"""Characters of a message, so that fifty of them with all around them are about 50 KB."""

_MAKE = f"""
import json, sys
from uuid import uuid4
from stack.accounts.actors import actors_create
from stack.chat.services import chat_create, message_send
(actor,) = actors_create(count=1)
chat = chat_create(owner_id=actor.user, title="What is measured")
for number in range({ROWS}):
    text = f"{MARK} {{number:02d}} " + "lorem ipsum dolor sit amet " * {TEXT_LENGTH}
    message_send(chat_id=chat.pk, sender_id=actor.user, client_id=uuid4(), text=text[:{TEXT_LENGTH}])
print(json.dumps({{"chat": chat.pk, "session": actor.session}}))
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The page's chat, and the session of who sees it."""

    chat: int
    session: str

    @property
    def path(self) -> str:
        return f"/chats/{self.chat}/"


def make(stack: RunningStack) -> Measured:
    """Write it into the stack's database."""
    done = stack.manage("shell", "--verbosity", "0", "-c", _MAKE)
    if done.returncode:
        raise HarnessError(f"The data could not be made: {done.stderr.strip()[-500:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def wrong_page(body: bytes) -> str | None:
    """What is wrong with an answer that should be the whole page: every row in its markup, and once more as data."""
    markup, block, data = body.partition(b'id="__NEXT_DATA__"')
    if not block:
        return "it holds no page data"
    return _wrong_rows(markup) or _wrong_rows(data)


def wrong_data(body: bytes) -> str | None:
    """What is wrong with an answer that should be the data alone."""
    return _wrong_rows(body)


def _wrong_rows(text: bytes) -> str | None:
    found = len(set(_ROW.findall(text)))
    return None if found == ROWS else f"{found} of {ROWS} rows"
