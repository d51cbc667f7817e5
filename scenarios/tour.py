from __future__ import annotations

from dataclasses import replace

from harness import PHONE, Stage, Window, scenario

LARGE = Window(width=1440, height=900)
WINDOWS = {
    "phone": PHONE,
    "phone at night": replace(PHONE, dark=True),
    "laptop": LARGE,
    "laptop at night": replace(LARGE, dark=True),
}
LINES = (
    ("erin", "Has anybody seen the adapter?"),
    ("frank", "It is in the drawer below the screen, as always."),
    ("erin", "Found it. Rehearsal at three?"),
    ("frank", "At three. I press the buttons, you talk."),
)


@scenario(
    "A tour of every screen",
    tags={"design"},
    cast=["erin", "frank"],
    windows=["erin"],
    eyes="always",
)
def tour_of_every_screen(stage: Stage) -> None:
    """Every screen on a phone and a laptop, by day and by night: usable for all by axe's rules, and pictured."""
    people = {"erin": stage.actor("erin", device="phone", window=PHONE), "frank": stage.actor("frank")}
    erin = people["erin"]

    with stage.step("Something to look at", budget=20):
        chat = erin.starts_chat("Stage crew", with_=[people["frank"]])
        for who, text in LINES:
            people[who].sends(text, to=chat)

    for name, window in WINDOWS.items():
        device = stage.actor("erin", device=name, window=window)
        for screen in ("/chats", chat.screen, "/people", "/profile"):
            with stage.step(f"{screen.replace(str(chat.id), '…')} on the {name}", budget=15):
                device.opens(screen)
                device.checks_accessibility()
        with stage.step(f"Nothing here on the {name}", budget=15):
            with device.expects_trouble("there is no such page", pattern="404"):
                assert device.loads("/nothing").status == 404
            device.checks_accessibility()

    for name, window in WINDOWS.items():
        with stage.step(f"Signing in on the {name}", budget=15):
            guest = stage.actor("erin", device=f"guest, {name}", window=window)
            assert guest.loads("/sign-in").status == 200
            guest.checks_accessibility()
