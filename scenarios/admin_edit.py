from __future__ import annotations

from harness import PHONE, Stage, scenario


@scenario("An admin's edit reaches every open client", tags={"live", "demo"}, cast=["bob"], windows=["bob"])
def admin_edit_reaches_clients(stage: Stage) -> None:
    """Somebody edits a row in the Django admin. The person it is about has the app open and just sees it."""
    bob, phone = stage.actor("bob"), stage.actor("bob", device="phone", window=PHONE)

    with stage.step("Bob opens his profile on laptop and phone", cue="Bob has two devices open.", budget=10):
        bob.opens("/profile")
        phone.opens("/profile")

    with stage.step("An admin renames Bob", cue="No reload, no polling: watch the name change.", budget=10):
        name = stage.unique("Robert")
        stage.admin.changes("profile", of=bob, first_name=name)
        bob.sees(name, within=2)
        phone.sees(name, within=2)

    with stage.step("Bob takes his name back", cue="It works in both directions.", budget=5):
        own = stage.unique("Bob")
        phone.changes_profile(first_name=own)
        bob.sees(own, within=2)
        bob.does_not_see(name)
