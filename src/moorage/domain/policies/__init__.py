"""
IAM policies: parsed and checked once, then asked who may do what.

`parse` compiles a document (patterns, operators and principals are prepared),
`decide` answers a `Request` from the policies that bear on it, `assume`
answers whether a role may be taken on. Pure: no I/O, no clock.

The language is that of AWS's policy documents. What would not be enforced is
refused: an unknown element, operator or principal form is a `PolicyError`.

==============  ========================================================
``reading``     JSON with what JSON leaves open decided: duplicates, size
``model``       the words: principal, request, kinds of policy
``places``      what a policy is in a decision
``outcome``     a decision, with the statements that made it
``facts``       a request's condition keys
``variables``   ``${aws:username}`` in patterns
``principals``  Principal and NotPrincipal
``arns``        ARN patterns
``values``      what condition values stand for: numbers, dates, addresses
``operators``   the condition operators
``conditions``  Condition blocks: missing keys, many values
``statement``   a compiled statement, and whether it is about a request
``elements``    a statement's elements, and what each kind of policy demands
``document``    the document round the statements
``case``        one question with all policies that bear on it
``decision``    the order of things: deny, allow, both sides, limits
``marks``       by what resources are told apart
==============  ========================================================
"""

from moorage.domain.policies.decision import assume, decide
from moorage.domain.policies.document import only_about, parse, principals
from moorage.domain.policies.marks import marks
from moorage.domain.policies.model import Kind, PolicyError, Principal, Request
from moorage.domain.policies.outcome import Cause, Decision
from moorage.domain.policies.places import Place, Placed
from moorage.domain.policies.reading import MAX_LENGTH
from moorage.domain.policies.statement import Policy, Statement

__all__ = [
    "MAX_LENGTH",
    "Cause",
    "Decision",
    "Kind",
    "Place",
    "Placed",
    "Policy",
    "PolicyError",
    "Principal",
    "Request",
    "Statement",
    "assume",
    "decide",
    "marks",
    "only_about",
    "parse",
    "principals",
]
