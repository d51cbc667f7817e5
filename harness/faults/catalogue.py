"""Every fault there is, by its word: the one door for stages, tests, load and the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.faults import network, processes, services
from harness.faults.services import Figures

if TYPE_CHECKING:
    from harness.stack import RunningStack

LAYER = "layer"
"""What is broken where it is no resource but the channel layer between relay and hubs."""

Opener = Callable[..., AbstractContextManager[Figures]]


@dataclass(frozen=True)
class Fault:
    """One way to break resources. ``kinds`` are those it fits, none means all."""

    name: str
    opener: Opener
    kinds: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """The first sentence of its description."""
        return (inspect.getdoc(self.opener) or "").partition("\n")[0]

    @property
    def settings(self) -> Mapping[str, float | None]:
        """The names of its settings, each with what it is by default; None: it must be given."""
        keyword = inspect.Parameter.KEYWORD_ONLY
        found = [one for one in inspect.signature(self.opener).parameters.values() if one.kind is keyword]
        return {one.name: None if one.default is one.empty else one.default for one in found}


@dataclass(frozen=True)
class Breach:
    """A fault in force: what it is called, which resources it broke."""

    what: str
    names: tuple[str, ...]
    _figures: tuple[Figures, ...]

    def figures(self) -> dict[str, float]:
        """What it has bitten so far, of all its resources together."""
        total: dict[str, float] = {}
        for figures in self._figures:
            for name, value in figures().items():
                total[name] = total.get(name, 0) + value
        return total


def _without_figures(opener: Callable[..., AbstractContextManager[None]]) -> Opener:
    @contextmanager
    def opened(stack: RunningStack, name: str) -> Generator[Figures]:
        with opener(stack, name):
            yield dict

    opened.__doc__ = opener.__doc__
    return opened


def _with_toll(opener: Callable[..., AbstractContextManager[network.Toll]]) -> Opener:
    @contextmanager
    def opened(stack: RunningStack, name: str, **settings: float) -> Generator[Figures]:
        with opener(stack, name, **settings) as toll:
            yield lambda: {bite: count for bite, count in vars(toll.counters()).items() if count}

    opened.__doc__ = opener.__doc__
    # The settings are those of the fault itself.
    opened.__signature__ = inspect.signature(opener)  # type: ignore[attr-defined]  # what inspect looks for
    return opened


_NETWORK = ("down", "latency", "bandwidth", "reset", "slow_close", "half_open")
_LISTENING = ("postgres", "redis", "backend", "renderer")
_ALL = (
    Fault("killed", _without_figures(processes.killed)),
    Fault("frozen", _without_figures(processes.frozen)),
    Fault("restarted", _without_figures(processes.restarted)),
    Fault("failing", _without_figures(processes.failing)),
    *(Fault(name, _with_toll(getattr(network, name)), _LISTENING) for name in _NETWORK),
    Fault("paused", services.paused, ("redis",)),
    Fault("idle_transaction", services.idle_transaction, ("postgres",)),
    Fault("exhausted", services.exhausted, ("postgres",)),
    Fault("lossy", services.lossy, (LAYER,)),
)
FAULTS: Mapping[str, Fault] = {one.name: one for one in _ALL}


@contextmanager
def fault(stack: RunningStack, kind: str, how: str, **settings: float) -> Generator[Breach]:
    """Break every resource of a kind (``renderer`` means ``renderer-1`` and ``renderer-2``), or the one so named.

    ``how`` is a word of `FAULTS`, ``settings`` are that fault's. It is undone at the end of the block, also after an
    error. Raises HarnessError, before anything is broken, for words that don't fit.
    """
    wanted = _fitting(kind, how, settings)
    names = (LAYER,) if kind == LAYER else _resources(stack, kind)
    with ExitStack() as undone:
        figures = tuple(undone.enter_context(wanted.opener(stack, name, **settings)) for name in names)
        told = "".join(f", {name} {value:g}" for name, value in settings.items())
        yield Breach(f"{', '.join(names)}: {how}{told}", names, figures)


def _fitting(kind: str, how: str, settings: Mapping[str, Any]) -> Fault:
    if how not in FAULTS:
        raise HarnessError(f"Nothing can be {how!r} on purpose.", hint=f"There are: {', '.join(FAULTS)}.")
    wanted = FAULTS[how]
    plain = kind.rsplit("-", 1)[0] if kind[-1:].isdigit() else kind
    fits = plain in wanted.kinds if wanted.kinds else plain != LAYER
    if not fits:
        can = ", ".join(one.name for one in _ALL if (plain in one.kinds if one.kinds else plain != LAYER))
        where = ", ".join(wanted.kinds) or "every resource"
        raise HarnessError(f"{kind} can't be {how}: that is for {where}.", hint=f"{kind} can be: {can}.")
    if unknown := sorted(set(settings) - set(wanted.settings)):
        known = ", ".join(wanted.settings) or "none"
        raise HarnessError(f"{how} has no setting {unknown[0]!r}.", hint=f"Its settings: {known}.")
    if missing := [name for name, default in wanted.settings.items() if default is None and name not in settings]:
        raise HarnessError(f"{how} wants to know: {', '.join(missing)}.", hint=f"For example: {missing[0]}=0.5")
    return wanted


def _resources(stack: RunningStack, kind: str) -> tuple[str, ...]:
    names = [status.name for status in stack.resources()]
    chosen = tuple(name for name in names if name == kind or name.startswith(f"{kind}-"))
    if not chosen:
        raise HarnessError(
            f"This run has no resource of the kind {kind!r}.",
            hint=f"It has: {', '.join(names)}; and {LAYER}, which is between relay and backends.",
        )
    return chosen
