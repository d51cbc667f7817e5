"""Live: every committed change reaches every client that may see it.

Feature apps say what is live in a module of their own, imported from ``AppConfig.ready``::

    from stack import live

    live.register(Message, serializer=MessageSerializer, scope="chat:{chat_id}", window=50, order="number")
    live.membership("chat:{chat_id}", ChatMember.objects.values("chat_id", viewer=F("user_id")))

Nothing else is needed: database triggers catch the changes, whoever makes them.
"""

from __future__ import annotations

from stack.live.registry import LiveConfigurationError, membership, register, sign_in

__all__ = ["LiveConfigurationError", "membership", "register", "sign_in"]
