"""Figures as images of a page."""

from __future__ import annotations

import base64
from typing import NamedTuple

import jinja2
from matplotlib.figure import Figure

from viamachinae.inspect import figures


class Picture(NamedTuple):
    """An image of a page: data URI, alternative text, caption, size in CSS pixels."""

    src: str
    alt: str
    caption: str
    width: int
    height: int


def picture(figure: Figure, dpi: int, alt: str, caption: str) -> Picture:
    """The figure as an embedded PNG."""
    src = "data:image/png;base64," + base64.b64encode(figures.png(figure, dpi)).decode("ascii")
    # A CSS pixel is 1/96 inch.
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Picture(src, alt, caption, width, height)


def counted(n: int, singular: str, plural: str) -> str:
    """A number with its noun."""
    return f"{n} {singular if n == 1 else plural}"


def render(template: str, **content: object) -> str:
    """The text of a page; what is shown is escaped, and nothing may be missing."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("viamachinae.inspect"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**content)
