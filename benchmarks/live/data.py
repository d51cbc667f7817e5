"""Who is signed in and what they see: many users with an ordinary chat each, and one chat in which a change is told."""

from __future__ import annotations

import json
from dataclasses import dataclass

from harness import HarnessError, RunningStack

SOCKETS_A_USER = 16
"""In the chat that is measured: its members see each other's profiles, which grows with the square of their number."""

_MAKE = """
import json
from stack.accounts.actors import actors_create
from stack.chat.models import Chat, ChatMember, Message
members_of, sent = 10, 20
idle, (writer, *members) = actors_create(count={sockets}), actors_create(count={members} + 1)
groups = [idle[i:i + members_of] for i in range(0, len(idle), members_of)]
chats = Chat.objects.bulk_create(Chat(title=f"chat {{i}}", last_number=sent) for i in range(len(groups)))
pairs = [(chat, actor) for chat, group in zip(chats, groups) for actor in group]
Message.objects.bulk_create(
    (
        Message(chat=chat, sender_id=group[number % len(group)].user, number=number + 1, text="lorem ipsum " * 5)
        for chat, group in zip(chats, groups)
        for number in range(sent)
    ),
    batch_size=2000,
)
measured = Chat.objects.create(title="What is measured")
pairs += [(measured, actor) for actor in (writer, *members)]
ChatMember.objects.bulk_create((ChatMember(chat=chat, user_id=actor.user) for chat, actor in pairs), batch_size=2000)
print(json.dumps({{
    "chat": measured.pk,
    "writer": writer.user,
    "session": writer.session,
    "idle": [actor.session for actor in idle],
    "members": [actor.session for actor in members],
}}))
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The chat that is measured, who writes into it, and the sessions of everybody else.

    Attributes:
        session: the writer's, who has no socket.
        idle: sessions of users who are in other chats, ten in each; one for each socket.
        members: sessions of the measured chat's members.
    """

    chat: int
    writer: int
    session: str
    idle: tuple[str, ...]
    members: tuple[str, ...]

    def sessions(self, sockets: int) -> list[str]:
        """A member's session for each of so many sockets."""
        return [self.members[place % len(self.members)] for place in range(sockets)]


def make(stack: RunningStack, *, sockets: int) -> Measured:
    """Write it into the stack's database."""
    members = max(1, -(-sockets // SOCKETS_A_USER))
    done = stack.manage("shell", "--verbosity", "0", "-c", _MAKE.format(sockets=sockets, members=members))
    if done.returncode:
        raise HarnessError(f"The data could not be made: {done.stderr.strip()[-500:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Measured(**{**found, "idle": tuple(found["idle"]), "members": tuple(found["members"])})
