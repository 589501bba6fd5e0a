"""
How a decoder says that a value will not do: where, and what is wrong with it.

A decoder knows its value and not where that stands, so it raises a `Fault`
and every structure and list on the way out adds its step. Nothing is spent on
paths while all goes well.
"""

from __future__ import annotations

from moorage.aws.patches import DEFAULT_WORDING, FIELDS, WORDING
from moorage.domain.errors import Failure, InvalidParameter, Malformed


class Fault(Exception):
    """A value that will not do. Never leaves `moorage.aws`: `failure` is what the caller sees."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []
        """Member names and ``<n>.member``, the innermost first."""

    @property
    def path(self) -> str:
        """The place as ECR writes it, such as ``tags.2.member.key``."""
        return ".".join(FIELDS.get(step, step) for step in reversed(self.steps))

    def failure(self) -> Failure:
        """Return the failure to report."""
        raise NotImplementedError


class WrongType(Fault):
    """The value has another JSON type than its member, or is of no use as one."""

    def __init__(self, expected: str, value: object) -> None:
        super().__init__()
        self.expected = expected
        self.found = json_type(value)

    def failure(self) -> Malformed:
        """Return the failure to report: the body does not fit the protocol."""
        where = f"The value of member '{self.path}'" if self.steps else "The request body"
        return Malformed(reason=f"{where} cannot be read as {self.expected}: it is {self.found}")


class Unreadable(Fault):
    """The value has the right JSON type, and what it writes cannot be read."""

    def __init__(self, problem: str) -> None:
        super().__init__()
        self.problem = problem

    def failure(self) -> Malformed:
        """Return the failure to report: the body does not fit the protocol."""
        return Malformed(reason=f"The value of member '{self.path}' {self.problem}")


class Broken(Fault):
    """The value breaks a constraint of the model: one of the keys of `DEFAULT_WORDING`."""

    def __init__(self, constraint: str, limit: object = "") -> None:
        super().__init__()
        self.constraint = constraint
        self.limit = limit

    def failure(self) -> InvalidParameter:
        """Return the failure to report, in the words that ECR has for that member."""
        text = WORDING.get((self.steps[0], self.constraint)) if len(self.steps) == 1 else None
        if text is None or "{}" in text:
            text = (text or DEFAULT_WORDING[self.constraint]).replace("{}", str(self.limit))
        return InvalidParameter(self.path, text)


_JSON_TYPES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number with a fraction",
    type(None): "null",
}


def json_type(value: object) -> str:
    """Return the JSON type of a value, with its article."""
    return _JSON_TYPES.get(type(value), "something else")
