"""Principal and NotPrincipal: whom a statement of a resource's policy is about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from moorage.domain.policies.model import Kind, PolicyError
from moorage.domain.policies.reading import mapping, show, texts

if TYPE_CHECKING:
    from moorage.domain.policies.facts import Question

_ACCOUNT: Final = re.compile(r"(?:arn:aws[a-z-]*:iam::)?([0-9]{12})(:root)?")
# Names and paths may hold any printable character but the wildcards, which AWS does not expand here.
_NAME: Final = r"[!-)+->@-~]+"
_ARN: Final = re.compile(
    rf"arn:aws[a-z-]*:(?:iam::[0-9]{{12}}:(?:user|role)/{_NAME}|sts::[0-9]{{12}}:assumed-role/{_NAME}/{_NAME})"
)
_SERVICE: Final = re.compile(r"[a-z0-9][a-z0-9.-]*\.amazonaws\.com(?:\.cn)?")
_PROVIDER: Final = re.compile(rf"arn:aws[a-z-]*:iam::[0-9]{{12}}:(?:oidc|saml)-provider/{_NAME}")


class Reach(IntEnum):
    """How closely a statement is about a principal; AWS draws consequences from it (see `decision`)."""

    NONE = 0
    ACCOUNT = 1
    """Its account is named, which leaves it to the account whom to allow."""
    ROLE = 2
    """The role that it is a session of is named."""
    DIRECT = 3
    """It is named itself, or everybody is."""


@dataclass(frozen=True, slots=True)
class Principals:
    """A Principal or NotPrincipal element, prepared."""

    excluded: bool
    """Whether it is NotPrincipal."""
    everyone: bool
    accounts: frozenset[str]
    arns: frozenset[str]
    """Users, roles and sessions."""
    others: frozenset[str]
    """Services and identity providers."""
    named: frozenset[str]
    """The AWS principals as they are written, without ``*``."""

    def reach(self, question: Question, *, deny: bool) -> Reach:
        """
        Say how the statement is about who asks.

        In doubt the narrower grant and the wider refusal: allowing ``*`` is not
        meant for services and web identities, denying ``*`` is; and of those
        that NotPrincipal spares from a Deny, an account is its root user only,
        because AWS wants whoever is spared named besides the account.
        """
        if not self.excluded:
            return self._named(question, everyone=self.everyone and (deny or not question.is_outsider))
        if deny:
            spared = self._named(question, everyone=self.everyone) > Reach.ACCOUNT
        else:
            spared = question.is_outsider or self._named(question, everyone=self.everyone) > Reach.NONE
        return Reach.NONE if spared else Reach.DIRECT

    def _named(self, question: Question, *, everyone: bool) -> Reach:
        principal = question.principal
        if everyone or principal.arn in self.arns or principal.arn in self.others:
            return Reach.DIRECT
        if principal.role_arn in self.arns:
            return Reach.ROLE
        if principal.account in self.accounts and not question.is_outsider:
            return Reach.DIRECT if question.is_root else Reach.ACCOUNT
        return Reach.NONE


def read(value: object, kind: Kind, where: str, *, excluded: bool) -> Principals:
    """Prepare a Principal (or NotPrincipal, ``excluded``) element; raise `PolicyError` for a form unknown to us."""
    given = {"AWS": value} if value == "*" else mapping(value, where)
    if not given:
        raise PolicyError(f"{where}: must not be empty")
    known = {"AWS", "Service", "Federated"} if kind is Kind.TRUST else {"AWS", "Service"}
    if unknown := given.keys() - known:
        raise PolicyError(f"{where}: unknown type of principal {show(sorted(unknown))}")
    aws, services, providers = (
        frozenset(texts(given[key], f"{where}.{key}") if key in given else ())
        for key in ("AWS", "Service", "Federated")
    )
    _check(services, _SERVICE, where)
    _check(providers, _PROVIDER, where)
    accounts, arns = _split(aws - {"*"}, where)
    return Principals(excluded, "*" in aws, accounts, arns, services | providers, aws - {"*"})


def _check(values: frozenset[str], form: re.Pattern[str], where: str) -> None:
    for value in values:
        if form.fullmatch(value) is None:
            raise PolicyError(f"{where}: not a principal: {show(value)}")


def _split(named: frozenset[str], where: str) -> tuple[frozenset[str], frozenset[str]]:
    accounts, arns = set(), set()
    for value in named:
        account = _ACCOUNT.fullmatch(value)
        if account is not None and value.startswith("arn:") == (account[2] is not None):
            accounts.add(account[1])
        elif _ARN.fullmatch(value) is not None:
            arns.add(value)
        else:
            raise PolicyError(f"{where}: not an AWS principal: {show(value)}")
    return frozenset(accounts), frozenset(arns)
