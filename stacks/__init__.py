"""Deployable compositions of the library, one stack a file."""
