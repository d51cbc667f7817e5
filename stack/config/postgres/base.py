"""Where Django looks for the backend that ``ENGINE`` names."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base

from stack.config.postgres.pool import Pool


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own but for the class of its pool, which it has no setting for."""

    _connection_pools: ClassVar[dict[str, Pool]] = {}

    @property
    def pool(self) -> Pool | None:
        """The pool of this process for this database, made when first asked for and opened by whoever connects."""
        options: dict[str, Any] | None = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        pools = self._connection_pools
        if self.alias not in pools:
            made = Pool(
                # Django switches it off where it begins a transaction.
                kwargs={**self.get_connection_params(), "autocommit": True},
                configure=self._configure_connection,  # type: ignore[attr-defined]  # of Django, unknown to its stubs
                open=False,
                **options,
            )
            # Another thread may have been first.
            pools.setdefault(self.alias, made)
        return pools[self.alias]
