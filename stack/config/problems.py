"""Problem documents (RFC 9457): the one shape of every error under ``/api/``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler
from drf_standardized_errors.types import VALIDATION_ERROR, ErrorResponse
from rest_framework import exceptions
from rest_framework.response import Response

from stack.config.parsers import PayloadTooLarge

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:stack:problem:"


def problem(
    status: int, *, code: str, detail: str, errors: list[dict[str, str | None]] | None = None
) -> dict[str, Any]:
    """The document: ``type``, ``title``, ``status``, ``detail`` and, for bad input, ``errors``.

    Args:
        code: a short name for programs; the last part of ``type``.
        errors: one entry a fault, ``{"field", "code", "detail"}``; ``field`` is None for the whole input.
    """
    document: dict[str, Any] = {
        "type": f"{TYPE_PREFIX}{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors is not None:
        document["errors"] = errors
    return document


class ServiceUnavailable(exceptions.APIException):
    """The database is away; worth trying again soon."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "service_unavailable"
    default_detail = "The database can't be reached at the moment. Try again."
    wait = 1


class ProblemFormatter(ExceptionFormatter):
    """Writes a DRF error as a problem document."""

    def format_error_response(self, error_response: ErrorResponse) -> dict[str, Any]:
        status = int(self.exc.status_code)
        first = error_response.errors[0]
        if error_response.type != VALIDATION_ERROR:
            return problem(status, code=first.code, detail=first.detail)
        errors = [
            {"field": None if e.attr == "non_field_errors" else e.attr, "code": e.code, "detail": e.detail}
            for e in error_response.errors
        ]
        return problem(status, code="validation_error", detail="The input is not valid.", errors=errors)


class ProblemHandler(ExceptionHandler):
    """Answers every exception of an API view with a problem document."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, OperationalError | InterfaceError):
            return ServiceUnavailable()
        # Django's own limit, which a body passes before it comes to the parser's.
        if isinstance(exc, RequestDataTooBig):
            return PayloadTooLarge()
        return super().convert_known_exceptions(exc)

    def get_response(self, exc: exceptions.APIException, data: dict[str, Any]) -> Response:
        return Response(data, status=exc.status_code, headers=self.get_headers(exc), content_type=CONTENT_TYPE)
