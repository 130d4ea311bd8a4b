"""The user's verbs on the command line; each calls one public function of the same name."""

from viamachinae.cli.main import main

__all__ = ["main"]
