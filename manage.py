#!/usr/bin/env python
"""Django's command line, with expected trouble told in one sentence."""

from __future__ import annotations

import os
import sys

EXIT_FAILURE = 1
EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h


def main() -> int:
    """Run one command; returns the exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stack.config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        return _failed(str(error), EXIT_CONFIGURATION)
    except OperationalError as error:
        reason = str(error).strip().partition("\n")[0]
        return _failed(f"The database of DATABASE_URL can't be used: {reason}.", EXIT_FAILURE)
    except ProgrammingError as error:
        if type(error.__cause__).__name__ != "UndefinedTable":
            raise
        return _failed("The database has no tables for this yet. Run: manage.py prepare", EXIT_FAILURE)
    return 0


def _failed(sentence: str, code: int) -> int:
    print(f"manage.py: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
