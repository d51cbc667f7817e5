from __future__ import annotations

import pytest

from stack.pages.routes import NOT_FOUND, PAGES, find, missing_rows, routes_in, safe_next, sign_in_address


@pytest.mark.parametrize(
    ("path", "route", "values"),
    [
        ("/", "/", {}),
        ("/sign-in/", "/sign-in", {}),
        ("/chats/", "/chats", {}),
        ("/chats/42/", "/chats/[id]", {"id": "42"}),
        ("/profile/", "/profile", {}),
    ],
)
def test_addresses(path: str, route: str, values: dict[str, str]) -> None:
    found = find(path)
    assert found is not None
    assert (found[0].route, found[1]) == (route, values)
    assert found[0].path(values) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "//",
        "/chats",
        "/chats//",
        "/chats/0/",
        "/chats/042/",
        "/chats/-1/",
        "/chats/٤/",
        "/chats/99999999999999999999/",
        "/chats/42/x/",
        "/chats/42/\n",
        "/chats/[id]/",
        "/CHATS/",
        "/404/",
        "/sign-inx/",
    ],
)
def test_no_addresses(path: str) -> None:
    assert find(path) is None


def test_what_a_page_shows() -> None:
    found = find("/chats/42/")
    assert found is not None
    assert found[0].scopes(found[1]) == ("chat:42",)
    assert found[0].private


def test_every_page_has_one_row() -> None:
    assert len({page.route for page in PAGES}) == len(PAGES)
    assert NOT_FOUND.path({}) == "/404/"


def test_a_route_of_next_without_a_row_is_told() -> None:
    own = {"/_app": "pages/_app.js", "/_document": "x", "/_error": "x", "/404": "x"}
    rows = {page.route: "pages/x.js" for page in PAGES}
    assert missing_rows({**own, **rows}) == set()
    assert missing_rows({**own, **rows, "/rooms/[id]": "x", "/api/hello": "x"}) == {"/rooms/[id]", "/api/hello"}
    manifest = {
        "version": 3,
        "staticRoutes": [{"page": "/_error"}, {"page": "/chats"}, {"page": "/about"}],
        "dynamicRoutes": [{"page": "/chats/[id]"}, {"page": "/rooms/[id]"}],
    }
    assert missing_rows(manifest) == {"/about", "/rooms/[id]"}
    assert routes_in(manifest) == {"/chats", "/about", "/chats/[id]", "/rooms/[id]"}


@pytest.mark.parametrize("text", ["/profile/", "/chats/42/", "/chats/?a=b#c", "/chats/%2F%2Fevil.example/"])
def test_next_on_this_site(text: str) -> None:
    assert safe_next(text) == text


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "profile/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "/a\\b",
        "\\\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " /profile/",
        "/profile/\r\nSet-Cookie: a=b",
        "/\u2028/evil.example",
        "/sign-in/?next=/sign-in/",
    ],
)
def test_next_elsewhere(text: str | None) -> None:
    assert safe_next(text) == "/chats/"


def test_the_way_back_is_quoted() -> None:
    assert sign_in_address("/chats/42/") == "/sign-in/?next=/chats/42/"
    assert sign_in_address("/a b&c=d#e?f/") == "/sign-in/?next=/a%20b%26c%3Dd%23e%3Ff/"
