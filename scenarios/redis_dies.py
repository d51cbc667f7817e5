from __future__ import annotations

from harness import Stage, scenario

LATE = 5.0
"""Seconds within which a message arrives without Redis: servers then look for news by themselves, once a second."""


@scenario(
    "Redis dies in the middle of a talk",
    tags={"live", "fault", "demo"},
    cast=["alice", "bob"],
    windows=["alice"],
    alone=True,
)
def redis_dies_in_the_middle_of_a_talk(stage: Stage) -> None:
    """Killed, silent and back again: messages come a second late, each once, and nobody has to do anything."""
    alice, bob = stage.actor("alice"), stage.actor("bob")

    with stage.step("Alice and Bob talk", cue="Messages are there at once.", budget=15):
        chat = alice.starts_chat(stage.unique("Lights out"), with_=[bob])
        for actor in (alice, bob):
            actor.opens(chat.screen)
        hello = stage.unique("Are you there?")
        alice.sends(hello, to=chat)
        bob.sees(hello, within=2)

    for how, cue in (("killed", "Redis is gone. Keep talking."), ("paused", "Now it is there and takes nothing in.")):
        with stage.step(f"Redis is {how}", cue=cue, budget=30), stage.broken("redis", how):
            question, answer = stage.unique("Can you hear me?"), stage.unique("Loud and clear.")
            alice.sends(question, to=chat)
            bob.sees(question, within=LATE)
            bob.sends(answer, to=chat)
            alice.sees(answer, within=LATE)

    with stage.step("Redis is back", cue="Nobody had to do anything.", budget=15):
        goodbye = stage.unique("See you!")
        bob.sends(goodbye, to=chat)
        alice.sees(goodbye, within=LATE)
