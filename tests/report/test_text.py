"""Markdown that shows text as it is, whatever it is: as the page's own reader reads it."""

import html

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from bench.report.evidence import link
from bench.report.text import code, command, escape, p_value, pipe

READER = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")

NASTY = [
    "plain T2T-ViT_t-14 (a) 100 % < 5",
    "*strong* _emphasis_ __both__ ~~gone~~",
    "`code` ``two`` `",
    "a | b || c",
    "[text](http://elsewhere) ![picture](x.png) [1]",
    "<script>alert(1)</script> <b>bold</b> <http://auto.link>",
    "&lt; &amp; &#42; AT&T",
    "back\\slash \\* \\| \\",
    "# heading",
    "1. item",
    "> quote",
    "- item",
    "``",
    " `",
    "`|`",
]


def text_of(rendered):
    """What a reader sees of HTML without markup, which there must be none of."""
    assert rendered.startswith("<p>")
    inside = rendered.removeprefix("<p>").removesuffix("</p>\n")
    assert "<" not in inside, inside
    return html.unescape(inside)


@pytest.mark.parametrize("text", NASTY)
def test_escaped_text_is_shown_as_it_is(text):
    assert text_of(READER.render(escape(text))).strip() == text.strip()


@pytest.mark.parametrize("text", NASTY)
def test_a_span_of_code_is_shown_as_it_is(text):
    (inline,) = [token for token in READER.parse(f"x {code(text)} x") if token.type == "inline"]
    assert [child.content for child in inline.children if child.type == "code_inline"] == [text]


@pytest.mark.parametrize("text", [*NASTY, "line\nbreak | <b>\r\n\n# heading"])
def test_a_cell_stays_one_cell(text):
    shown = pipe(pd.DataFrame({"A": [escape(text), code(text)], "B": ["1", "2"]}), ("A",))
    rendered = READER.render(shown)
    assert rendered.count("<td") == 4
    assert rendered.count("<tr>") == 3
    assert "<b>" not in rendered
    assert "<script" not in rendered


def test_a_link_holds_what_its_file_is_called():
    rendered = READER.render(link(code("weights [1] ](x) `.pth"), "evidence/a b](x).json"))
    assert 'href="evidence/a%20b%5D%28x%29.json"' in rendered
    assert "<code>weights [1] ](x) `.pth</code>" in rendered
    assert rendered.count("<a ") == 1


def test_a_command_stays_in_its_block():
    shown = command("python", "run_all.py", "--only", "T2T*", "--weights", "a\n```\n# heading")
    assert READER.render(shown).count("<pre>") == 1
    assert "<h1>" not in READER.render(shown)
    assert "--only 'T2T*'" in shown


@pytest.mark.parametrize("write", [escape, code])
def test_control_characters_are_written_out(write):
    shown = READER.render(write("a\x1b[31m\u202eb\x00"))
    assert r"a\x1b[31m\u202eb\x00" in html.unescape(shown)


def test_no_p_value_is_zero():
    assert [p_value(p) for p in (0.0634, 4e-300, 0.0)] == ["p = 0.063", "p = 4e-300", "p < 1e-300"]
