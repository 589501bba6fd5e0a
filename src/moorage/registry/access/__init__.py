"""
Access as a file: what accounts, users, groups, roles, issuers and policies there shall be.

`reading` makes declarations of the file, `state` of the rows; `plan` tells in
what they differ, `carrying` makes the rows what the file says, and `writing`
writes the file that says what the rows are.
"""

from moorage.registry.access.carrying import carry_out
from moorage.registry.access.model import KINDS, Change, Declared, Misdeclared, Thing
from moorage.registry.access.plan import plan
from moorage.registry.access.reading import read
from moorage.registry.access.state import state
from moorage.registry.access.writing import write

__all__ = ["KINDS", "Change", "Declared", "Misdeclared", "Thing", "carry_out", "plan", "read", "state", "write"]
