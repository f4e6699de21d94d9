"""Drawings that follow the reader's colour scheme: as they were drawn on a light page, recoloured on a dark one."""

import colorsys
import re

DARK_PAGE, DARK_TEXT = "#15181c", "#e3e6ea"
"""what white and black become in the dark: the colours of page and text in ``page.css``"""

ON_LIGHT_PIXELS, ON_DARK_PIXELS = "#0a0a0a", "#f5f5f5"
"""what is written on pixels, which keep their colours in the dark, and so do these"""

_DARKEST, _LIGHTEST = 0.1, 0.9
"""lightness in the dark of the lightest and of the darkest colour"""

_CURVE = 0.75
"""exponent of the lightness between them: colours in the middle have to be lighter than halfway to be read"""

_SATURATION = 0.8
"""part of the saturation that is left in the dark, where bright colours glare"""

_PAINT = re.compile(r"\b(fill|stroke): #([0-9a-f]{6})")
"""a colour, as matplotlib writes it"""

_ROOT = re.compile(r"<svg\b[^>]*>")


def in_both_schemes(svg: str) -> str:
    """An SVG with its colours as variables, which have other values if the reader prefers a dark scheme.

    Photographs and other pictures of pixels in it keep their colours.
    """
    colors = sorted({color for _, color in _PAINT.findall(svg)})
    light = ";".join(f"--{color}:#{color}" for color in colors)
    dark = ";".join(f"--{color}:{in_the_dark(f'#{color}')}" for color in colors)
    style = (
        f"<style>svg{{{light}}}@media screen and (prefers-color-scheme:dark)"
        f"{{svg{{{dark};fill:{DARK_TEXT}}}}}</style>"  # black text has no colour of its own
    )
    return _ROOT.sub(rf"\g<0>{style}", _PAINT.sub(r"\1: var(--\2)", svg), count=1)


def in_the_dark(color: str) -> str:
    """The colour of a dark page for one of a light page: of the same hue, and light where that is dark.

    Args:
        color: as ``#rrggbb``.
    """
    exact = {"#ffffff": DARK_PAGE, "#000000": DARK_TEXT}
    if color in (ON_LIGHT_PIXELS, ON_DARK_PIXELS):
        return color
    if color in exact:
        return exact[color]
    red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    lightness = _DARKEST + (_LIGHTEST - _DARKEST) * (1 - lightness) ** _CURVE
    channels = colorsys.hls_to_rgb(hue, lightness, _SATURATION * saturation)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)
