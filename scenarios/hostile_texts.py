from __future__ import annotations

from harness import Stage, scenario

HOSTILE = (
    "</script><script>document.title = 'taken over'</script>",
    "<img src=x onerror=\"document.title = 'taken over'\">",
    "<!--<script>",
    "]]> &lt;b&gt;not bold&lt;/b&gt; {{ 7 * 7 }} ${7 * 7}",
    "line\u2028separator\u2029paragraph",
    "left \u202ethgir ot\u202c left",
    "שלום and مرحبا in one line",
    "👩‍👩‍👧‍👦 👍🏽 🇩🇪 ❤️",
    "__proto__ constructor \"quotes\" 'single' `back` \\ /",
    "Z\u0351\u036b\u0343\u036a\u0302a\u0328l\u0321g\u0321o\u0322",
)
LONGEST = 10_000


def squeezed(text: str) -> str:
    """A text as markup shows it: with single spaces."""
    return " ".join(text.split())


@scenario("Hostile texts are texts", tags={"ssr", "security"}, cast=["alice", "mallory"], windows=["alice"], alone=True)
def hostile_texts_are_texts(stage: Stage) -> None:
    """Mallory writes what breaks pages: markup, separators, directions, ten thousand characters. Alice reads it."""
    alice, mallory = stage.actor("alice"), stage.actor("mallory")
    mark = stage.unique("mark")
    long = f"{mark} " + "x" * (LONGEST - len(mark) - 5) + " end"

    with stage.step("Mallory writes to Alice", budget=20):
        chat = mallory.starts_chat(stage.unique("</script>"), with_=[alice])
        for text in (*HOSTILE, long):
            mallory.sends(text, to=chat)

    with stage.step("Alice loads the page", cue="Every word of it, and none of it runs.", budget=15):
        page = alice.loads(chat.screen)
        assert (page.status, page.by) == (200, "renderer")
        assert not page.inline, f"something of it became a part of the page: {page.inline}"
        for text in (*HOSTILE, long, chat.title):
            assert squeezed(text) in page.text, f"not in the markup: {text!r}"
        stage.until(lambda: alice.store() == alice.fresh_store(), "what came along is what a snapshot holds", within=2)
        alice.sees(chat.title, within=2)
        for text in HOSTILE[:4]:
            alice.sees(squeezed(text), within=2)

    with stage.step("It comes live as well", budget=10):
        last = stage.unique("</textarea><script>")
        mallory.sends(last, to=chat)
        alice.sees(last, within=2)

    with (
        stage.step("The same from the shell", cue="Data in an inert block, escaped.", budget=30),
        stage.broken("renderer", "killed"),
    ):
        page = alice.loads(chat.screen)
        assert (page.status, page.by) == (200, "shell")
        assert not page.inline, f"something of it became a part of the page: {page.inline}"
        stage.until(lambda: alice.store() == alice.fresh_store(), "what came along is what a snapshot holds", within=2)
        alice.sees(last, within=5)
