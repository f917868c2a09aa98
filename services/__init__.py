"""Fairpatch: three services that ask whether it is the people or the patch."""
