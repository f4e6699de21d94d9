"""The files of a reports folder, read for the HTML page: Markdown parsed, pictures chosen, evidence set apart."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bench.report.evidence import FOLDER

MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
"""reads what the pages are written in, and shows HTML in it as text"""

EVIDENCE = f"{FOLDER}/"
"""where files of evidence lie, and the id of their section, which no page's name can be"""

_FIRST = ("README", "claims", "study", "figures", "figure", "table", "ideas", "counting", "cost", "speed")
"""pages in this order, then the rest by name"""

_SVG_BYTES = 1_000_000
"""a drawing that is larger is full of pixels, and its PNG is taken where it is smaller"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of Markdown, parsed."""

    id: str
    title: str
    tokens: list[Token]
    anchors: Mapping[str, str]
    """ids of the headings by their anchors on a forge"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """The files that the HTML page is made of."""

    pages: Mapping[str, Page]
    """by file name, in the order of the HTML page"""
    pictures: Mapping[str, bytes]
    """by path without suffix"""
    data: Mapping[str, bytes]
    """CSVs by path"""
    evidence: Mapping[str, bytes]
    """by path"""


def read(files: Mapping[str, bytes]) -> Reports:
    """Read the files of a reports folder, by path relative to it."""
    evidence = {path: files[path] for path in sorted(files) if path.startswith(EVIDENCE)}
    others = {path: files[path] for path in sorted(files) if path not in evidence}
    pictures = _pictures(others)
    texts = {name: content.decode(errors="replace") for name, content in others.items() if name.endswith(".md")}
    for path in pictures.keys() - _shown(texts.values()):
        # A picture without a page that shows it, as run_all.py figure draws it, stands on one of its own.
        title = path.replace("_", " ").capitalize()
        texts[f"{path}.md"] = texts.get(f"{path}.md", f"# {title}\n") + f"\n![{title}]({path}.png)\n"
    return Reports(
        pages={name: _parsed(name, texts[name]) for name in sorted(texts, key=_place)},
        pictures=pictures,
        data={path: content for path, content in others.items() if path.endswith(".csv")},
        evidence=evidence,
    )


def plain(inline: Token) -> str:
    """The text of an inline token without markup."""
    return "".join(
        child.content if child.type in ("text", "code_inline") else " " if "break" in child.type else ""
        for child in inline.children or ()
    )


def stem(path: str) -> str:
    """The path without suffix, by which pictures are known."""
    return path.rpartition(".")[0]


def _place(name: str) -> tuple[int, int, str]:
    """Sort key of a page: table_10 comes after table_9."""
    identifier = name.removesuffix(".md")
    kind, number = re.fullmatch(r"(.*?)_?(\d*)", identifier).groups()  # type: ignore[union-attr]  # it fits any name
    return (_FIRST.index(kind), int(number or 0), identifier) if kind in _FIRST else (len(_FIRST), 0, identifier)


def _pictures(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """One of each PNG and SVG of the same name, by path without suffix."""
    chosen: dict[str, bytes] = {}
    for path, content in files.items():  # PNG comes before SVG
        name, _, suffix = path.rpartition(".")
        if suffix == "png" or (
            suffix == "svg" and (len(content) <= _SVG_BYTES or len(content) < len(chosen.get(name, content + b" ")))
        ):
            chosen[name] = content
    return chosen


def _shown(texts: Iterable[str]) -> set[str]:
    """Paths without suffix of the pictures that pages show."""
    inline = (token for text in texts for token in MARKDOWN.parse(text) if token.type == "inline")
    images = (child for token in inline for child in token.children or () if child.type == "image")
    return {stem(unquote(str(image.attrs["src"]))) for image in images}


def _parsed(name: str, text: str) -> Page:
    """The page with its headings numbered one level down, but for the index, whose title is the whole page's."""
    identifier = name.removesuffix(".md")
    tokens = MARKDOWN.parse(text)
    anchors: dict[str, str] = {}
    title = identifier
    for place, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        level = int(token.tag[1])
        words = plain(tokens[place + 1])
        if level == 1:
            title = words
        anchor = _unused_anchor(words, anchors)
        token.attrs["id"] = anchors[anchor] = f"{identifier}:{anchor}"
        token.tag = tokens[place + 2].tag = f"h{level if name == 'README.md' else min(level + 1, 6)}"
    return Page(id=identifier, title=title, tokens=tokens, anchors=anchors)


def _unused_anchor(words: str, used: Mapping[str, str]) -> str:
    """The anchor that a forge gives to a heading: of those with the same words, numbered from the second."""
    anchor = slug = re.sub(r"[^\w -]", "", words.lower()).replace(" ", "-")
    repeats = 0
    while anchor in used:
        repeats += 1
        anchor = f"{slug}-{repeats}"
    return anchor
