"""Links and pictures of the Markdown pages, made to hold inside one page that is mailed on its own."""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from markdown_it.token import Token

from bench.report.evidence import FOLDER
from bench.report.html.reports import EVIDENCE, Page, Reports, stem
from bench.report.html.schemes import in_both_schemes

_DATA_BYTES = 1_000_000
"""a CSV that is larger is left out"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Links of the reports, followed in the order of the HTML page."""

    reports: Reports
    inside: set[str] = field(default_factory=set)
    """ids of pictures and CSVs that are inside already, and are not put in a second time"""

    def inlined(self, page: Page, children: Sequence[Token]) -> Iterator[Token]:
        """The children of an inline token with links that hold inside the page, and pictures in place."""
        open_links: list[Token] = []
        for child in children:
            if child.type == "link_open":
                self._follow(page, child)
                open_links.append(child)
            elif child.type == "link_close":
                child.tag = open_links.pop().tag
            if child.type == "image":
                yield from self._placed(child)
            else:
                yield child

    def _follow(self, page: Page, link: Token) -> None:
        """Point the link at what it names inside the page; where that is outside, let the text stand alone."""
        reports = self.reports
        target = str(link.attrs.pop("href"))
        parts = urlsplit(target)
        if parts.scheme:
            link.attrs |= {"href": target, "rel": "noreferrer"}
            return
        path = str(PurePosixPath(unquote(parts.path))) if parts.path else ""
        if linked := reports.pages.get(path) if path else page:
            anchor = unquote(parts.fragment)
            link.attrs["href"] = _fragment(linked.anchors.get(anchor, linked.id))
        elif path in reports.evidence:
            link.attrs["href"] = _fragment(path)
        elif path == FOLDER and reports.evidence:
            link.attrs["href"] = _fragment(EVIDENCE)
        elif path in reports.data and len(reports.data[path]) > _DATA_BYTES:
            _leave_out(link, target)
        elif path in reports.data and path not in self.inside:
            self.inside.add(path)
            uri = _data_uri("text/csv;charset=utf-8", reports.data[path])
            link.attrs |= {"id": path, "href": uri, "download": PurePosixPath(path).name}
        elif path in reports.data:
            link.attrs["href"] = _fragment(path)
        elif stem(path) in reports.pictures:
            link.attrs["href"] = _fragment(_picture_id(path))
        else:
            _leave_out(link, target)

    def _placed(self, image: Token) -> Iterator[Token]:
        """The picture, or a link to it where it is inside already, which the script turns into the same picture.

        Of one that is not there, its text alone.
        """
        path = unquote(str(image.attrs["src"]))
        content = self.reports.pictures.get(stem(path))
        identifier = _picture_id(path)
        if content is None or identifier in self.inside:
            link = Token("link_open", "a", 1)
            if content is None:
                _leave_out(link, path)
            else:
                link.attrs |= {"href": _fragment(identifier), "class": "again"}
            yield from (link, Token("text", "", 0, content=image.content), Token("link_close", link.tag, -1))
            return
        self.inside.add(identifier)
        if content.startswith(b"\x89PNG"):
            source = _data_uri("image/png", content)
        else:
            source = _data_uri("image/svg+xml", in_both_schemes(content.decode(errors="replace")).encode())
        image.attrs = {"id": identifier, "src": source, **_css_pixels(content)}
        yield image


def _fragment(identifier: str) -> str:
    return "#" + quote(identifier)


def _picture_id(path: str) -> str:
    """The id of a picture, the same for its PNG and its SVG."""
    return f"picture:{stem(path)}"


def _leave_out(link: Token, target: str) -> None:
    """Turn a link that leads out of a page mailed on its own into text, and keep the target as its title."""
    link.tag = "span"
    link.attrs |= {"class": "outside", "title": f"not in this page: {target}"}


def _css_pixels(picture: bytes) -> dict[str, str | int | float]:
    """Width and height at which a picture is shown, if it says: PNGs have 200 pixels an inch, drawings 72 points."""
    if picture.startswith(b"\x89PNG"):
        size = [int.from_bytes(picture[at : at + 4]) * 96 / 200 for at in (16, 20)]
    elif box := re.search(rb"""viewBox=["']\S+ \S+ ([\d.]+) ([\d.]+)["']""", picture):
        size = [float(points) * 96 / 72 for points in box.groups()]
    else:
        return {}
    return {"width": round(size[0]), "height": round(size[1])}


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
