from __future__ import annotations

from typing import Any

from stack.config.settings.environment import ENVIRONMENT

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["stack.accounts.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["stack.config.parsers.LimitedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_RATES": {
        "sign_in": ENVIRONMENT.sign_in_rate,
        # Many names from one address; outside production all simulated users share one.
        "sign_in_address": "60/min" if ENVIRONMENT.production else None,
    },
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    # Without this a client could name any address in X-Forwarded-For and never be throttled.
    "NUM_PROXIES": ENVIRONMENT.trusted_proxies,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_HANDLER_CLASS": "stack.config.problems.ProblemHandler",
    "EXCEPTION_FORMATTER_CLASS": "stack.config.problems.ProblemFormatter",
    "ENABLE_IN_DEBUG_FOR_UNHANDLED_EXCEPTIONS": True,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Tim's Stack",
    "DESCRIPTION": "Accounts, chats and jobs. Every error is a problem document (RFC 9457).",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "stack.config.schema.add_problems",
    ],
}
