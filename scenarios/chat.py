from __future__ import annotations

from harness import PHONE, Stage, scenario


@scenario(
    "Two people chat, and nobody else hears it",
    tags={"live", "demo", "load"},
    cast=["alice", "bob", "carol"],
    windows=["alice", "bob"],
)
def two_people_chat(stage: Stage) -> None:
    """Alice and Bob write to each other. What Bob read on his phone is read on his laptop too.

    Carol, who has the app open all the while, gets none of it.
    """
    alice, carol = stage.actor("alice"), stage.actor("carol")
    bob, phone = stage.actor("bob"), stage.actor("bob", device="phone", window=PHONE)

    with stage.step("Everybody opens the app", cue="Three people, four devices, two servers.", budget=15):
        for actor in (alice, bob, phone, carol):
            actor.opens("/chats")

    with stage.step("Alice starts a chat with Bob", cue="It turns up on Bob's list by itself.", budget=5):
        title = stage.unique("Lunch")
        chat = alice.starts_chat(title, with_=[bob])
        for actor in (alice, bob, phone):
            actor.sees(title, within=2)
        alice.opens(chat.screen)

    question, answer = stage.unique("Pizza at noon?"), stage.unique("Make it one.")
    with stage.step("Alice asks", cue="The message is on every screen at once.", budget=5):
        alice.sends(question, to=chat)
        for actor in (bob, phone):
            actor.sees(question, within=2)
            actor.sees_unread(1, chat, within=2)

    with stage.step("Bob reads on his phone", cue="His laptop knows at the same moment.", budget=5):
        phone.marks_read(chat)
        # An open chat counts as read by itself: the laptop has the list before it.
        bob.sees_unread(0, chat, within=2)

    with stage.step("Bob answers", cue="From the phone, and it is on his laptop as well.", budget=5):
        phone.sends(answer, to=chat)
        for actor in (alice, bob, phone):
            actor.sees(answer, within=2)

    with stage.step("Carol noticed nothing", cue="Not hidden on her screen: never sent to her.", budget=10):
        carol.never_received(title, question, answer)
