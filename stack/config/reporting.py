"""What Django's debug pages and error reports leave out."""

from __future__ import annotations

import re
from typing import Any

from django.views.debug import SafeExceptionReporterFilter

_LOGIN = re.compile(r"(?<=://)[^/@\s]*@")


class ReporterFilter(SafeExceptionReporterFilter):
    """Django's own, which knows secrets by the names of settings; this one finds those in addresses too."""

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        cleansed = super().cleanse_setting(key, value)
        return _LOGIN.sub(f"{self.cleansed_substitute}@", cleansed) if isinstance(cleansed, str) else cleansed
