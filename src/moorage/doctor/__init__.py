"""
What is wrong with the way to a registry: a byte pushed and pulled through its public address.

Speaks to the address as any client does and knows nothing of the server but
that. Most troubles are a proxy's, and each has a setting that causes it.
"""

from moorage.doctor.checks import CHECKS, LEAVE, Check, Visit
from moorage.doctor.wire import Trouble, Wire

__all__ = ["CHECKS", "LEAVE", "Check", "Trouble", "Visit", "Wire"]
