"""The reports as one HTML page that needs nothing else: pictures, data and evidence inside, no network.

The Markdown is the source, and the page says what it says. In the page, tables sort by their heads (``page.js``), a
link to evidence opens the file, and a link to a CSV saves it. Its policy forbids the browser to load anything.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from bench.report.html.links import Links
from bench.report.html.reports import EVIDENCE, MARKDOWN, Page, Reports, plain, read
from bench.report.html.table import Cell, label, table_html
from bench.results.codec import parse, unsealed

_EVIDENCE_BYTES, _ALL_EVIDENCE_BYTES = 100_000, 3_000_000
"""what is larger is left out, and what comes after so much: the page is to be mailed"""

_RENDERER = RendererHTML()
_HERE = Path(__file__)


def html_page(files: Mapping[str, bytes]) -> str:
    """The whole page: the same bytes for the same files.

    Args:
        files: of the reports folder by path relative to it, with slashes: Markdown pages, among them ``README.md``,
            the index; their pictures, an SVG in place of the PNG beside it; CSVs; and what lies in ``evidence/``.
            Others are left out.
    """
    reports = read(files)
    links = Links(reports=reports)
    first, *_ = reports.pages.values()
    sections = [_section(links, page) for page in reports.pages.values()]
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
        f"<title>{escape(first.title)}: T2T-ViT reproduced</title>",
        '<link rel="icon" href="data:,">',
        f"<style>{style}</style>",
        "</head>",
        "<body>",
        f'<a class="skip" href="#{quote(first.id)}">Skip the contents</a>',
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


def _contents(reports: Reports) -> str:
    entries = [(page.id, page.title) for page in reports.pages.values()]
    if reports.evidence:
        entries.append((EVIDENCE, "Evidence"))
    items = []
    for identifier, title in entries:
        name, colon, rest = title.partition(": ")
        about = f" <small>{escape(rest)}</small>" if colon else ""
        items.append(f'<li><a href="#{quote(identifier)}">{escape(name)}{about}</a></li>')
    return "\n".join(
        ['<nav aria-label="Contents"><details open><summary>Contents</summary><ul>', *items, "</ul></details></nav>"]
    )


def _section(links: Links, page: Page) -> str:
    """The page as HTML, its pictures and data inside."""
    parts: list[str] = []
    text: list[Token] = []  # since the last table
    heading = page.title
    tokens = iter(enumerate(page.tokens))
    for place, token in tokens:
        if token.type == "heading_open":
            heading = plain(page.tokens[place + 1])
        if token.type == "inline":
            children = token.children or []
            if [child.type for child in children] == ["image"] and page.tokens[place - 1].tag == "p":
                page.tokens[place - 1].tag = page.tokens[place + 1].tag = "figure"
            token.children = list(links.inlined(page, children))
        if token.type != "table_open":
            text.append(token)
            continue
        inside = [token]
        while inside[-1].type != "table_close":
            inside.append(next(tokens)[1])
        parts.append(_RENDERER.render(text, MARKDOWN.options, {}))
        text = []
        caption = page.title if heading == page.title else f"{page.title}: {heading}"
        head, *rows = _cells(links, page, inside)
        aligned = [cell.attrs.get("style") == "text-align:right" for cell in inside if cell.type == "th_open"]
        parts.append(table_html(caption, head, rows, aligned))
    parts.append(_RENDERER.render(text, MARKDOWN.options, {}))
    return f'<section id="{escape(page.id)}">\n{"".join(parts)}</section>'


def _hash(text: str) -> str:
    """The hash by which a content security policy permits a style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _cells(links: Links, page: Page, tokens: Sequence[Token]) -> Iterator[list[Cell]]:
    """The lines of a table, the head first."""
    line: list[Cell] = []
    for token in tokens:
        if token.type == "tr_open":
            line = []
        elif token.type == "inline":
            children = list(links.inlined(page, token.children or []))
            text = plain(token)
            html = _RENDERER.renderInline(children, MARKDOWN.options, {})
            line.append(Cell(text=text, html=html))
        elif token.type == "tr_close":
            yield line


def _evidence(files: Mapping[str, bytes]) -> Iterator[str]:
    """Each file folded, to be opened by a link to it."""
    if not files:
        return
    yield f'<section id="{EVIDENCE}">\n<h2>Evidence</h2>'
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
