"""The distribution door: OCI distribution protocol, driven by the table in ``routes``."""
