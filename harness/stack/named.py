"""The named states of the stack's database: what they are called, how they are made, what outlives a reset."""

from __future__ import annotations

from dataclasses import dataclass

EMPTY, SEEDED, BUSY = "empty", "seeded", "busy"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a state is made where no template of it is kept.

    Attributes:
        base: the state that it starts from; None for a database without a table.
        commands: what ``manage.py`` then does, one after the other.
        users_file: whether the first command insists on a file for the users it makes.
        within: seconds that it may take.
    """

    base: str | None
    commands: tuple[tuple[str, ...], ...]
    users_file: bool = False
    within: float = 180.0


# Each leaves nothing that a relay had still to tell: every reset would have to wait until it has.
RECIPES = {
    EMPTY: Recipe(base=None, commands=(("migrate", "--no-input", "--verbosity", "0"), ("live", "start-over"))),
    SEEDED: Recipe(base=None, commands=(("prepare",),), users_file=True),
    BUSY: Recipe(base=SEEDED, commands=(("populate", "--json"),), within=600.0),
}
STATES = tuple(RECIPES)


@dataclass(frozen=True, kw_only=True)
class Carried:
    """Rows that go from the old database into the new one, where whom they belong to is the same in both.

    Attributes:
        table: whose rows.
        owner: its column that refers to ``owners``.
        owners: the table of those they belong to, with the primary key ``id``.
        same: columns of ``owners`` that have to be equal, so that nobody inherits from somebody else.
    """

    table: str
    owner: str
    owners: str
    same: tuple[str, ...]


CARRIED = (
    # Who is signed in stays so. One who was disabled, or has another password now, is not who signed in.
    Carried(table="accounts_session", owner="user_id", owners="accounts_user", same=("id", "password", "is_active")),
)
