"""The cases, a chapter in each file."""
