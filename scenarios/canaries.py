from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from harness import Actor, Stage, scenario

CROWD = 50
AT_ONCE = 16
EACH = 4
PATHS = ("/chats", "/people", "/profile")


@scenario("Fifty people at once, and nobody gets another's page", tags={"ssr", "privacy"})
def nobody_gets_anothers_page(stage: Stage) -> None:
    """Everybody has a secret of their own in a chat and a profile. However many pages are rendered at once, each
    holds the secret of whoever asked, and nobody else's.
    """
    with stage.step(f"{CROWD} people arrive, each with a canary", budget=60):
        crowd = stage.crowd(CROWD)
        canaries = {actor.label: stage.unique("canary") for actor in crowd}

        def settles_in(actor: Actor) -> None:
            actor.starts_chat(canaries[actor.label], with_=[])
            actor.changes_profile(bio=canaries[actor.label])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(settles_in, crowd))

    with stage.step("All load all pages at once", cue="One store a request, none shared.", budget=90):

        def looks_around(actor: Actor) -> int:
            loaded = 0
            for path in PATHS * EACH:
                page = actor.loads(path)
                assert page.status == 200, f"{path} for {actor.label}: {page.status}"
                everything = f"{page.text} {page.data}"
                seen = {label for label, canary in canaries.items() if canary in everything}
                assert seen == {actor.label}, f"{path} for {actor.label} holds the canaries of {seen}"
                loaded += 1
            return loaded

        with ThreadPoolExecutor(AT_ONCE) as pool:
            loaded = sum(pool.map(looks_around, crowd))
        assert loaded == CROWD * EACH * len(PATHS)
