from __future__ import annotations

from harness import Stage, scenario

SCREENS = ("/chats", "/people", "/profile")


@scenario("Someone signs in, looks around and leaves", tags={"smoke"}, cast=["alice"], windows=["alice"])
def look_around(stage: Stage) -> None:
    """Every screen loads, is live and shows what a fresh client gets. Nothing is written: fit for production."""
    alice = stage.actor("alice")

    with stage.step("Alice signs in", budget=10):
        alice.signs_in()

    for path in SCREENS:
        with stage.step(f"She loads {path}", budget=10):
            page = alice.loads(path)
            assert page.status == 200, f"{path} answered {page.status}"
            assert page.data is not None, f"{path} brought no data"
            stage.until(lambda: alice.connection == "live", f"{path} is live", within=5)

    with stage.step("She signs out", budget=10):
        alice.signs_out()
