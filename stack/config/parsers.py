from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, Any

from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser
from rest_framework.utils import json

MOST_BYTES = 256 * 1024


class PayloadTooLarge(APIException):
    """The body is larger than any honest request."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "payload_too_large"
    default_detail = f"The request is larger than {MOST_BYTES // 1024} KiB."


class LimitedJSONParser(JSONParser):
    """JSON in UTF-8 of at most 256 KiB; anything else is a problem, never a server error."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body: bytes = stream.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise PayloadTooLarge
        try:
            return json.loads(body.decode(), parse_constant=json.strict_constant)
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error
        except ValueError as error:
            raise ParseError(f"The body is no valid JSON: {error}") from error
