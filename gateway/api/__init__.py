"""The control API: HTTP for operators and their systems."""
