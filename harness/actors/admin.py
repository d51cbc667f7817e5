"""The actor who works in the Django admin, through its real pages and forms."""

from __future__ import annotations

from typing import Any, Protocol

import httpx
from lxml import html

from harness.actors.device import Requests, shown
from harness.actors.errors import FormRefused, NotPossible, Refused
from harness.actors.http import Http
from harness.play.moments import Chronicle
from harness.play.observers import Observer
from harness.play.people import Person

LOGIN = "/admin/login/"
PAGES = {"profile": "/admin/accounts/profile/{user}/change/"}


LABEL = "admin"


class Subject(Protocol):
    """Somebody whose data an admin changes."""

    @property
    def label(self) -> str: ...

    @property
    def user(self) -> int: ...


class AdminActor:
    """An admin at the Django admin; signs in at the first need."""

    def __init__(self, person: Person, *, base: str, observer: Observer, chronicle: Chronicle) -> None:
        self.person = person
        self._chronicle = chronicle
        self._http = Http(base, observer=Requests(LABEL, observer, chronicle))
        self._signed_in = False

    def signs_in(self) -> None:
        """Fill in the admin's login form. Raises `FormRefused` with what the form says."""
        if self.person.password is None:
            raise NotPossible(f"{self.person.name} has no password to sign in to the admin with.")
        with self._chronicle.does(LABEL, "signs in to the admin"):
            page = self._page(LOGIN)
            fields = {"username": self.person.name, "password": self.person.password}
            answer = self._submit(page, "login-form", fields, button=None)
            if answer.url.path == LOGIN:
                raise FormRefused(f"The admin did not let {self.person.name} in: {_errors(answer)}")
            self._signed_in = True

    def changes(self, what: str, *, of: Subject, **values: str) -> None:
        """Open somebody's `what` (``profile``), fill `values` into the form and save it.

        Raises `FormRefused` with the form's errors, `NotPossible` for a field that the form lacks.
        """
        if what not in PAGES:
            raise NotPossible(f"The admin knows no {what!r}; there are: {', '.join(PAGES)}.")
        if not self._signed_in:
            self.signs_in()
        with self._chronicle.does(LABEL, f"changes the {what} of {of.label}: {shown(values)}"):
            path = PAGES[what].format(user=of.user)
            page = self._page(path)
            answer = self._submit(page, f"{what}_form", values, button="_save")
            if answer.url.path == path:
                raise FormRefused(f"The admin did not save {path}: {_errors(answer)}")

    def close(self) -> None:
        self._http.close()

    def _page(self, path: str) -> httpx.Response:
        page = self._http.page(path)
        if page.status_code >= 400:
            raise Refused(f"The admin page {path} answered HTTP {page.status_code}.", status=page.status_code)
        if page.url.path != path:
            raise Refused(f"The admin page {path} sent {self.person.name} to {page.url.path}.", status=403)
        return page

    def _submit(self, page: httpx.Response, form_id: str, values: dict[str, str], button: str | None) -> httpx.Response:
        path = page.url.path
        document: Any = html.fromstring(page.text)
        forms = [form for form in document.forms if form.get("id") == form_id]
        if not forms:
            raise FormRefused(f"The admin page {path} has no form {form_id!r}.")
        form = forms[0]
        for name, value in values.items():
            if name not in form.fields:
                raise NotPossible(
                    f"The form at {path} has no field {name!r}; it has: {', '.join(sorted(form.fields))}."
                )
            form.fields[name] = value
        fields: dict[str, list[str]] = {}
        for name, value in form.form_values():
            fields.setdefault(name, []).append(value)
        if button is not None:
            fields[button] = ["Save"]
        answer = self._http.submit(path, fields)
        if answer.status_code >= 400:
            raise Refused(f"The form at {path} was answered with HTTP {answer.status_code}.", status=answer.status_code)
        return answer


def _errors(page: httpx.Response) -> str:
    document: Any = html.fromstring(page.text)
    found = document.xpath("//*[contains(@class,'errornote') or contains(@class,'errorlist')]")
    texts = [" ".join(element.text_content().split()) for element in found]
    return "; ".join(text for text in texts if text) or "it shows no error message"
