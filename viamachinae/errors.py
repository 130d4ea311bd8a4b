"""The three ways in which a scan refuses to go on, each with one clear sentence."""

from __future__ import annotations


class BadInputError(ValueError):
    """What the user gave cannot be used; the message names what, where and the cure.

    The command line prints the message and exits with 2.
    """


def install_extra(extra: str) -> str:
    """The command that installs an extra, as messages say it: in a clone, for every shell."""
    return f'`python -m pip install ".[{extra}]"` in a clone of viamachinae'


class UnprocessableError(Exception):
    """The data of one patch cannot be worked on; the scan goes on with the other patches.

    Where there is no other patch to go on with, the command line prints it and exits with 3.
    """


class ArchiveError(Exception):
    """The archive did not deliver; what it had delivered is on disk, and a rerun goes on there.

    The command line prints the message and exits with 3.
    """
