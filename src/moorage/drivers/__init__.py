"""Databases and blob stores: implementations of the two interfaces in ``moorage.registry.storage``."""
