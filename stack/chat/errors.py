from __future__ import annotations

from http import HTTPStatus

from rest_framework.exceptions import APIException

from stack.chat.models import MOST_MEMBERS


class ChatError(APIException):
    """What the chat refuses; the API answers with it as it is."""


class NotFound(ChatError):
    """It does not exist, or the user may not know that it does."""

    status_code = HTTPStatus.NOT_FOUND
    default_code = "not_found"
    default_detail = "There is nothing at this address."


class NotAllowed(ChatError):
    """The user sees it, but may not do this to it."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "permission_denied"
    default_detail = "Only the chat's owner may do this."


class UnknownUsers(ChatError):
    """Users that do not exist or are disabled."""

    status_code = HTTPStatus.BAD_REQUEST
    default_code = "unknown_users"
    default_detail = "Some of these users do not exist."


class TooManyMembers(ChatError):
    """The chat would have more members than a chat may have."""

    status_code = HTTPStatus.CONFLICT
    default_code = "too_many_members"
    default_detail = f"A chat has at most {MOST_MEMBERS} members: remove somebody first, or start another chat."


class OwnerStays(ChatError):
    """A chat without an owner could not be managed by anyone."""

    status_code = HTTPStatus.CONFLICT
    default_code = "owner_stays"
    default_detail = "The owner can't leave the chat: delete it instead."


class ClientIdTaken(ChatError):
    """The sender used this ``client_id`` for something else."""

    status_code = HTTPStatus.CONFLICT
    default_code = "client_id_taken"
    default_detail = "This client_id was sent with another text or in another chat: use a new one for a new message."


class BeyondLastMessage(ChatError):
    """A read mark that is ahead of the chat."""

    status_code = HTTPStatus.BAD_REQUEST
    default_code = "beyond_last_message"
    default_detail = "The chat has no message of that number yet."
