"""The one error that reaches the terminal."""


class UserError(Exception):
    """Something the user can change. The command prints the message alone, on one line; exit 1."""
