from __future__ import annotations

from harness import Actor, Page, Stage, scenario


def is_complete(stage: Stage, actor: Actor, page: Page, *texts: str) -> None:
    """The page came from the renderer with everything in its markup, and what came along is what there is."""
    assert (page.status, page.by) == (200, "renderer"), f"{page.path}: {page.status} by {page.by} {page.shell_reason}"
    assert not page.inline, f"{page.path} holds what its own content security policy stops: {page.inline}"
    missing = [text for text in texts if text not in page.text]
    assert not missing, f"{page.path} does not hold {missing} in its markup: {page.text}"
    # An open chat marks itself read, which comes back as an event.
    stage.until(
        lambda: actor.store() == actor.fresh_store(),
        f"what came along with {page.path} is what a snapshot holds",
        within=2,
    )
    assert not actor.data_requests, f"{page.path} asked for more: {actor.data_requests}"


@scenario(
    "A page is complete before any script runs",
    tags={"ssr", "demo"},
    cast=["alice", "bob"],
    windows=["alice"],
)
def page_is_complete_from_the_server(stage: Stage) -> None:
    """Every page of the app arrives with its data in the markup, comes alive by itself and asks for nothing more."""
    alice, bob = stage.actor("alice"), stage.actor("bob")

    with stage.step("Alice and Bob have something to talk about", budget=15):
        title, first, second = stage.unique("Rehearsal"), stage.unique("Are we ready?"), stage.unique("Always.")
        chat = bob.starts_chat(title, with_=[alice])
        bob.sends(first, to=chat)
        name = stage.unique("Robert")
        bob.changes_profile(first_name=name)

    with stage.step("The list of chats", cue="The server has written it all into the page.", budget=10):
        is_complete(stage, alice, alice.loads("/chats"), title, first, name)

    with stage.step("A chat", cue="Fifty messages, no request for data.", budget=10):
        is_complete(stage, alice, alice.loads(chat.screen), title, first, name)

    with stage.step("It is alive all the same", cue="It resumed from where the page was made.", budget=5):
        bob.sends(second, to=chat)
        alice.sees(second, within=2)
        assert not alice.data_requests, f"the page asked for more: {alice.data_requests}"

    with stage.step("People and profile", budget=15):
        is_complete(stage, alice, alice.loads("/people"), name)
        own = stage.unique("Alice")
        alice.changes_profile(first_name=own)
        page = alice.loads("/profile")
        is_complete(stage, alice, page, alice.person.name)

    with stage.step("Where nothing is", cue="Also this page is rendered, and says 404.", budget=10):
        with alice.expects_trouble("there is no such page", pattern="404"):
            page = alice.loads("/nothing/here")
        assert (page.status, page.by) == (404, "renderer")
        assert "Nothing here" in page.text

    with stage.step("Who is not signed in", cue="Sent to the sign-in page, and back afterwards.", budget=10):
        alice.signs_out()
        page = alice.loads("/sign-in")
        assert (page.status, page.by, page.data and page.data["user"]) == (200, "renderer", None)
        assert "Sign in" in page.text
