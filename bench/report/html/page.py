"""The reports as one HTML page that needs nothing else: pictures, data and evidence inside, no network.

The Markdown is the source, and the page says what it says. In the page, tables sort by their heads (``page.js``), a
link to evidence opens the file, and a link to a CSV saves it. Its policy forbids the browser to load anything.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from bench.report.evidence import FOLDER
from bench.report.html.table import Cell, label, table_html
from bench.results.codec import parse, unsealed

_FIRST = ("README", "claims", "figures", "figure", "table", "ideas", "counting")
"""pages in this order, then the rest by name"""

_EVIDENCE = f"{FOLDER}/"
"""where files of evidence lie, and the id of their section, which no page's name can be"""

_EVIDENCE_BYTES, _ALL_EVIDENCE_BYTES = 100_000, 3_000_000
"""what is larger is left out, and what comes after so much: the page is to be mailed"""

_SVG_BYTES = 1_000_000
"""a drawing that is larger is full of pixels, and its PNG is taken where it is smaller"""

_RENDERER = RendererHTML()
_HERE = Path(__file__)


def html_page(files: Mapping[str, bytes]) -> str:
    """The whole page: the same bytes for the same files.

    Args:
        files: of the reports folder by path relative to it, with slashes: Markdown pages, among them ``README.md``,
            the index; their pictures, an SVG in place of the PNG beside it; CSVs; and what lies in ``evidence/``.
            Others are left out.
    """
    reports = _read(files)
    sections = [_section(reports, page) for page in reports.pages]
    style, script = (_HERE.with_name(name).read_text() for name in ("page.css", "page.js"))
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(reports.pages[0].title)}: T2T-ViT reproduced</title>",
        '<link rel="icon" href="data:,">',
        f"<style>{style}</style>",
        "</head>",
        "<body>",
        f'<a class="skip" href="#{quote(reports.pages[0].id)}">Skip the contents</a>',
        _contents(reports),
        "<main>",
        *sections,
        *_evidence(reports.evidence),
        "</main>",
        f"<script>{script}</script>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """A page of Markdown, parsed."""

    id: str
    title: str
    tokens: list[Token]
    anchors: Mapping[str, str]
    """ids of the headings by their anchors on a forge"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reports:
    """The files that the page is made of."""

    markdown: MarkdownIt
    pages: Sequence[_Page]
    by_name: Mapping[str, _Page]
    pictures: Mapping[str, bytes]
    """by path without suffix"""
    data: Mapping[str, bytes]
    evidence: Mapping[str, bytes]
    inside: set[str] = field(default_factory=set)
    """ids of what is inside already, and is not put in a second time"""


def _read(files: Mapping[str, bytes]) -> _Reports:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    evidence = {path: files[path] for path in sorted(files) if path.startswith(_EVIDENCE)}
    others = {path: files[path] for path in sorted(files) if path not in evidence}
    pictures = _pictures(others)
    texts = {name: content.decode(errors="replace") for name, content in others.items() if name.endswith(".md")}
    for stem in pictures.keys() - _shown(markdown, texts.values()):
        # A picture without a page that shows it, as run_all.py figure draws it, stands on one of its own.
        title = stem.replace("_", " ").capitalize()
        texts[f"{stem}.md"] = texts.get(f"{stem}.md", f"# {title}\n") + f"\n![{title}]({stem}.png)\n"
    names = sorted(texts, key=_place)
    by_name = {name: _parsed(markdown, name, texts[name]) for name in names}
    return _Reports(
        markdown=markdown,
        pages=list(by_name.values()),
        by_name=by_name,
        pictures=pictures,
        data={path: content for path, content in others.items() if path.endswith(".csv")},
        evidence=evidence,
    )


def _place(name: str) -> tuple[int, int, str]:
    """Sort key of a page: table_10 comes after table_9."""
    stem = name.removesuffix(".md")
    kind, number = re.fullmatch(r"(.*?)_?(\d*)", stem).groups()  # type: ignore[union-attr]  # it fits any name
    return (_FIRST.index(kind), int(number or 0), stem) if kind in _FIRST else (len(_FIRST), 0, stem)


def _pictures(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """One of each PNG and SVG of the same name, by path without suffix."""
    chosen: dict[str, bytes] = {}
    for path, content in files.items():  # PNG comes before SVG
        stem, _, suffix = path.rpartition(".")
        if suffix == "png" or (
            suffix == "svg" and (len(content) <= _SVG_BYTES or len(content) < len(chosen.get(stem, content + b" ")))
        ):
            chosen[stem] = content
    return chosen


def _shown(markdown: MarkdownIt, texts: Iterable[str]) -> set[str]:
    """Paths without suffix of the pictures that pages show."""
    inline = (token for text in texts for token in markdown.parse(text) if token.type == "inline")
    images = (child for token in inline for child in token.children or () if child.type == "image")
    return {_stem(unquote(str(image.attrs["src"]))) for image in images}


def _stem(path: str) -> str:
    return path.rpartition(".")[0]


def _parsed(markdown: MarkdownIt, name: str, text: str) -> _Page:
    """The page with its headings numbered one level down, but for the index, whose title is the whole page's."""
    identifier = name.removesuffix(".md")
    tokens = markdown.parse(text)
    anchors: dict[str, str] = {}
    title = identifier
    for place, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        level = int(token.tag[1])
        words = _plain(tokens[place + 1])
        if level == 1:
            title = words
        anchor = slug = re.sub(r"[^\w -]", "", words.lower()).replace(" ", "-")
        repeats = 0
        while anchor in anchors:
            repeats += 1
            anchor = f"{slug}-{repeats}"
        anchors[anchor] = f"{identifier}:{anchor}"
        token.attrs["id"] = anchors[anchor]
        token.tag = tokens[place + 2].tag = f"h{level if name == 'README.md' else min(level + 1, 6)}"
    return _Page(id=identifier, title=title, tokens=tokens, anchors=anchors)


def _plain(inline: Token) -> str:
    """Its text without markup."""
    return "".join(
        child.content if child.type in ("text", "code_inline") else " " if "break" in child.type else ""
        for child in inline.children or ()
    )


def _contents(reports: _Reports) -> str:
    entries = [(page.id, page.title) for page in reports.pages]
    if reports.evidence:
        entries.append((_EVIDENCE, "Evidence"))
    items = []
    for identifier, title in entries:
        name, colon, rest = title.partition(": ")
        about = f" <small>{escape(rest)}</small>" if colon else ""
        items.append(f'<li><a href="#{quote(identifier)}">{escape(name)}{about}</a></li>')
    return "\n".join(
        ['<nav aria-label="Contents"><details open><summary>Contents</summary><ul>', *items, "</ul></details></nav>"]
    )


def _section(reports: _Reports, page: _Page) -> str:
    """The page as HTML, its pictures and data inside."""
    parts: list[str] = []
    plain: list[Token] = []  # since the last table
    heading = page.title
    tokens = iter(enumerate(page.tokens))
    for place, token in tokens:
        if token.type == "heading_open":
            heading = _plain(page.tokens[place + 1])
        if token.type == "inline":
            children = token.children or []
            if [child.type for child in children] == ["image"] and page.tokens[place - 1].tag == "p":
                page.tokens[place - 1].tag = page.tokens[place + 1].tag = "figure"
            token.children = list(_linked(reports, page, children))
        if token.type != "table_open":
            plain.append(token)
            continue
        inside = [token]
        while inside[-1].type != "table_close":
            inside.append(next(tokens)[1])
        parts.append(_RENDERER.render(plain, reports.markdown.options, {}))
        plain = []
        caption = page.title if heading == page.title else f"{page.title}: {heading}"
        head, *rows = _cells(reports, page, inside)
        aligned = [cell.attrs.get("style") == "text-align:right" for cell in inside if cell.type == "th_open"]
        parts.append(table_html(caption, head, rows, aligned))
    parts.append(_RENDERER.render(plain, reports.markdown.options, {}))
    return f'<section id="{escape(page.id)}">\n{"".join(parts)}</section>'


def _linked(reports: _Reports, page: _Page, children: Sequence[Token]) -> Iterator[Token]:
    """The children of an inline token with links that hold inside the page, and pictures in place."""
    open_links: list[Token] = []
    for child in children:
        if child.type == "link_open":
            _follow(reports, page, child)
            open_links.append(child)
        elif child.type == "link_close":
            child.tag = open_links.pop().tag
        if child.type == "image":
            yield from _placed(reports, child)
        else:
            yield child


def _follow(reports: _Reports, page: _Page, link: Token) -> None:
    """Point the link at what it names inside the page; where that is outside, let the text stand alone."""
    target = str(link.attrs.pop("href"))
    parts = urlsplit(target)
    if parts.scheme:
        link.attrs |= {"href": target, "rel": "noreferrer"}
        return
    path = str(PurePosixPath(unquote(parts.path))) if parts.path else ""
    if linked := reports.by_name.get(path) if path else page:
        anchor = unquote(parts.fragment)
        link.attrs["href"] = "#" + quote(linked.anchors.get(anchor, linked.id))
    elif path in reports.evidence:
        link.attrs["href"] = "#" + quote(path)
    elif path == FOLDER and reports.evidence:
        link.attrs["href"] = "#" + quote(_EVIDENCE)
    elif path in reports.data and len(reports.data[path]) > _LARGEST_DATA:
        _leave_out(link, target)
    elif path in reports.data and path not in reports.inside:
        reports.inside.add(path)
        uri = _data_uri("text/csv;charset=utf-8", reports.data[path])
        link.attrs |= {"id": path, "href": uri, "download": PurePosixPath(path).name}
    elif path in reports.data:
        link.attrs["href"] = "#" + quote(path)
    elif _stem(path) in reports.pictures:
        link.attrs["href"] = "#" + quote(f"picture:{_stem(path)}")
    else:
        _leave_out(link, target)


_LARGEST_DATA = 1_000_000
"""bytes of a CSV that a page takes along to be mailed"""


def _leave_out(link: Token, target: str) -> None:
    """Turn a link that leads out of a page mailed on its own into text, and keep the target as its title."""
    link.tag = "span"
    link.attrs |= {"class": "outside", "title": f"not in this page: {target}"}


def _placed(reports: _Reports, image: Token) -> Iterator[Token]:
    """The picture, or a link to it where it is inside already, which the script turns into the same picture.

    Of one that is not there, its text alone.
    """
    path = unquote(str(image.attrs["src"]))
    stem = _stem(path)
    content = reports.pictures.get(stem)
    identifier = f"picture:{stem}"
    if content is None or identifier in reports.inside:
        link = Token("link_open", "a", 1)
        if content is None:
            _leave_out(link, path)
        else:
            link.attrs |= {"href": "#" + quote(identifier), "class": "again"}
        yield from (link, Token("text", "", 0, content=image.content), Token("link_close", link.tag, -1))
        return
    reports.inside.add(identifier)
    is_png = content.startswith(b"\x89PNG")
    source = _data_uri("image/png" if is_png else "image/svg+xml", content)
    image.attrs = {"id": identifier, "src": source, **_css_pixels(content)}
    yield image


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


def _hash(text: str) -> str:
    """The hash by which a content security policy permits a style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _cells(reports: _Reports, page: _Page, tokens: Sequence[Token]) -> Iterator[list[Cell]]:
    """The lines of a table, the head first."""
    line: list[Cell] = []
    for token in tokens:
        if token.type == "tr_open":
            line = []
        elif token.type == "inline":
            children = list(_linked(reports, page, token.children or []))
            text = _plain(token)
            html = _RENDERER.renderInline(children, reports.markdown.options, {})
            line.append(Cell(text=text, html=html))
        elif token.type == "tr_close":
            yield line


def _evidence(files: Mapping[str, bytes]) -> Iterator[str]:
    """Each file folded, to be opened by a link to it."""
    if not files:
        return
    yield f'<section id="{_EVIDENCE}">\n<h2>Evidence</h2>'
    yield (
        "<p>The files behind the numbers above. Records written by t2t-bench carry a checksum, the sha256 of their "
        "values; a file that does not match its checksum is shown as corrupt.</p>"
    )
    left = _ALL_EVIDENCE_BYTES
    for path, content in files.items():
        fits = len(content) <= min(_EVIDENCE_BYTES, left)
        left -= len(content) if fits else 0
        about, seal = _sealing(content) if path.endswith(".json") else ("", "")
        if fits:
            shown = f"<pre>{escape(content.decode(errors='replace'), quote=False)}</pre>"
        else:
            size = f"{len(content):,} bytes, too large for this page"
            shown = f"<p>{size}; see <code>{escape(path)}</code> in the reports folder.</p>"
        yield f'<details id="{escape(path)}"><summary><code>{escape(path)}</code> {label(about, about)}</summary>'
        yield f"{seal}{shown}</details>"
    yield "</section>"


def _sealing(content: bytes) -> tuple[str, str]:
    """Whether a file is corrupt, and a line that shows its checksum; nothing for a file that carries none."""
    try:
        checksum = parse(content.decode()).get("checksum")
    except (ValueError, RecursionError):
        return "", ""
    if checksum is None:
        return "", ""
    try:
        unsealed(content.decode())
        wrong = ""
    except ValueError:
        wrong = "corrupt"
    return wrong, f"<p>checksum <code>{escape(str(checksum))}</code></p>"
