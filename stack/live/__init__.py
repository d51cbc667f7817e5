"""Live: every committed change reaches every client that may see it.

Feature apps say what is live in a module of their own, imported from ``AppConfig.ready``::

    from stack import live

    live.register(Message, serializer=MessageSerializer, scope="chat:{chat_id}", window=50, order="number")
    live.membership("chat:{chat_id}", ChatMember.objects.values("chat_id", viewer=F("user_id")))

Nothing else is needed: database triggers catch the changes, whoever makes them. What is of the moment alone goes from
socket to socket, as well as it can::

    live.signal("typing", scope="chat:{chat_id}")
    live.presence("chat:{chat_id}")
"""

from __future__ import annotations

from stack.live.registry import LiveConfigurationError, membership, presence, register, sign_in, signal

__all__ = ["LiveConfigurationError", "membership", "presence", "register", "sign_in", "signal"]
