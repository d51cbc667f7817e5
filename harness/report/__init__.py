"""What a run leaves behind for machines: ``report.json`` and ``junit.xml``."""

from __future__ import annotations

from harness.report.files import REPORT_JSON, REPORT_JUNIT, write_report

__all__ = ["REPORT_JSON", "REPORT_JUNIT", "write_report"]
