"""Who is asking and may they; and the users, groups, roles and policies that say so."""

from __future__ import annotations

from typing import Any

from moorage.domain.errors.failure import Failure


class Unauthenticated(
    Failure, aws="MissingAuthenticationTokenException", oci=(401, "UNAUTHORIZED"), text="Missing Authentication Token"
):
    """No credential was given."""


class InvalidCredential(
    Failure,
    aws="UnrecognizedClientException",
    oci=(401, "UNAUTHORIZED"),
    text="The security token included in the request is invalid.",
):
    """The access key, session token or password is not one of ours (or no longer is)."""


class InvalidSignature(Failure, aws="InvalidSignatureException", oci=(401, "UNAUTHORIZED"), text="{reason}"):
    """The request signature does not match, is too old, or covers too little."""


class IncompleteSignature(Failure, aws="IncompleteSignatureException", oci=(401, "UNAUTHORIZED"), text="{reason}"):
    """The Authorization header or the presigned query lacks a part, or a part is malformed."""


class ExpiredCredential(
    Failure,
    aws="ExpiredTokenException",
    oci=(403, "DENIED"),
    text="Your authorization token has expired. Reauthenticate and try again.",
):
    """A token that was ours and is past its time."""


class ExpiredSession(
    Failure,
    aws="ExpiredTokenException",
    oci=(403, "DENIED"),
    text="The security token included in the request is expired",
):
    """Temporary credentials past their time."""


class TooManyAttempts(
    Failure,
    aws="ThrottlingException",
    oci=(429, "TOOMANYREQUESTS"),
    text=(
        "Rate exceeded: too many failed attempts to authenticate with this key from this address."
        " Try again in {retry_after} seconds."
    ),
):
    """A key that failed too often from one address; good or bad, it is not looked at for some seconds."""

    def __init__(self, *, retry_after: int) -> None:
        super().__init__(retry_after=retry_after)
        self._retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """After how many seconds to come again."""
        return {"Retry-After": str(self._retry_after)}


class InvalidIdentityToken(Failure, aws="InvalidIdentityToken", oci=(401, "UNAUTHORIZED"), text="{reason}"):
    """A web identity token that its issuer did not sign, for us, now (STS)."""


class IdentityProviderUnreachable(
    Failure,
    aws="IDPCommunicationError",
    oci=(401, "UNAUTHORIZED"),
    text="The identity provider's keys could not be had. Try again in a few seconds.",
):
    """An issuer that does not say now with which keys it signs (STS); clients of AWS ask again."""


class PackedPolicyTooLarge(
    Failure,
    aws="PackedPolicyTooLarge",
    oci=(400, "UNSUPPORTED"),
    text="Packed size of session policies consumes {percent}% of allotted space, please use smaller policy.",
):
    """A session policy that does not fit into tokens, compressed (STS)."""


class AccessDenied(
    Failure,
    aws="AccessDeniedException",
    oci=(403, "DENIED"),
    text="User: {principal} is not authorized to perform: {action} on resource: {resource} {reason}",
):
    """
    Known, and not allowed. ``reason`` ends the sentence as AWS ends it.

    What decided is for logs, and never for who was refused.
    """

    def __init__(self, *, decided_by: str = "implicit deny", statement: str | None = None, **values: Any) -> None:
        super().__init__(**values)
        self.decided_by = decided_by
        self.statement = statement


class NoSuchEntity(Failure, aws="NoSuchEntityException", oci=(404, "UNSUPPORTED"), text="There is no {kind} {name}"):
    """A user, group, policy, role or key that is not there (IAM's ``NoSuchEntity``)."""


class NoSuchAccount(
    Failure,
    aws="NoSuchEntityException",
    oci=(404, "UNSUPPORTED"),
    text="There is no account {account_id}: `moorage account create {account_id}` makes one",
):
    """An account that nobody made."""


class AccountInUse(
    Failure, aws="DeleteConflictException", oci=(409, "DENIED"), text="Account {account_id} still has {held}"
):
    """An account that cannot be deleted yet (IAM's ``DeleteConflict``)."""


class EntityAlreadyExists(
    Failure, aws="EntityAlreadyExistsException", oci=(409, "DENIED"), text="There is already: {kind} {name}"
):
    """A name that is taken (IAM's ``EntityAlreadyExists``)."""


class EntityInUse(
    Failure, aws="DeleteConflictException", oci=(409, "DENIED"), text="The policy {policy} is the boundary of {holder}"
):
    """A policy that cannot be deleted yet: without it a boundary would allow nothing (IAM's ``DeleteConflict``)."""


class MalformedPolicy(
    Failure,
    aws="MalformedPolicyDocumentException",
    oci=(400, "UNSUPPORTED"),
    text="The policy cannot be used: {reason}",
):
    """An identity policy that says what would not be enforced, or says it wrongly."""
