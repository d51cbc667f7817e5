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
    ("erin", "Doors open at ten. Has anybody seen the adapter?"),
    ("frank", "In the drawer below the screen, as always."),
    ("erin", "Found it."),
    ("grace", "The wireless is slow in here, forty people hang on one access point."),
    ("frank", "We are fine: the demo runs on the laptop. If the network goes, it catches up when it is back."),
    ("grace", "And if the renderer goes?"),
    ("erin", "Then nobody notices. Try it, I have wanted to see that on stage for weeks."),
    ("grace", "Reckless. I like it."),
    ("frank", "Rehearsal at three. I press the buttons, you talk."),
)


@scenario(
    "A tour of every screen",
    tags={"design"},
    cast=["erin", "frank", "grace"],
    windows=["erin"],
    eyes="always",
)
def tour_of_every_screen(stage: Stage) -> None:
    """Every screen on a phone and a laptop, by day and by night: usable for all by axe's rules, and pictured."""
    erin = stage.actor("erin", device="phone", window=PHONE)
    people = {"erin": erin, "frank": stage.actor("frank"), "grace": stage.actor("grace")}

    with stage.step("Something to look at", budget=20):
        chat = erin.starts_chat("Stage crew", with_=[people["frank"], people["grace"]])
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
