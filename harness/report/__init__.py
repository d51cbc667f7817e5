"""What a run leaves behind: ``report.html`` for people, ``report.json`` and ``junit.xml`` for machines."""

from __future__ import annotations

from harness.report.data import again, again_with_pytest
from harness.report.files import REPORT_HTML, REPORT_JSON, REPORT_JUNIT, write_report

__all__ = ["REPORT_HTML", "REPORT_JSON", "REPORT_JUNIT", "again", "again_with_pytest", "write_report"]
