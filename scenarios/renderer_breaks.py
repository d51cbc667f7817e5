from __future__ import annotations

from typing import Literal, get_args

from harness import Actor, Chat, Stage, scenario

Trouble = Literal["killed", "frozen", "failing"]
TEXT_WITHIN = 5.0
"""Seconds within which a person has a usable page, however the renderer is."""


def uses_the_app(stage: Stage, alice: Actor, bob: Actor, chat: Chat) -> None:
    """The chat can be read, written and followed."""
    question, answer = stage.unique("Still there?"), stage.unique("Of course.")
    bob.sends(question, to=chat)
    alice.sees(question, within=TEXT_WITHIN)
    alice.sends(answer, to=chat)
    bob.sees(answer, within=2)


@scenario(
    "The renderer breaks and nobody notices",
    tags={"ssr", "fault", "demo"},
    cast=["alice", "bob"],
    windows=["alice"],
    alone=True,
)
def renderer_breaks_and_nobody_notices(stage: Stage) -> None:
    """Killed, frozen or failing: pages come from the exported shell, with the same data, and the app works."""
    alice, bob = stage.actor("alice"), stage.actor("bob")

    with stage.step("Alice reads a chat", cue="Rendered on the server, as always.", budget=15):
        chat = bob.starts_chat(stage.unique("Stage fright"), with_=[alice])
        bob.opens(chat.screen)
        stage.until(lambda: alice.loads(chat.screen).by == "renderer", "a page comes from the renderer", within=20)

    how: Trouble
    for how in get_args(Trouble):
        with stage.step(f"The renderer is {how}", cue="Now it is gone. Reload the page.", budget=30):
            with stage.broken("renderer", how):
                page = alice.loads(chat.screen)
                assert (page.status, page.by) == (200, "shell"), f"{page.status} by {page.by}"
                assert page.shell_reason in ("refused", "timeout", "error", "status", "open"), page.shell_reason
                alice.sees(chat.title, within=TEXT_WITHIN)
                stage.until(
                    lambda: alice.store() == alice.fresh_store(), "what came along is what a snapshot holds", within=2
                )
                assert not alice.data_requests, f"the shell asked for more: {alice.data_requests}"
                uses_the_app(stage, alice, bob, chat)
            stage.until(lambda: alice.loads(chat.screen).by == "renderer", "the renderer is asked again", within=30)

    with stage.step("Back to normal", cue="Nobody had to do anything.", budget=10):
        uses_the_app(stage, alice, bob, chat)
