"""Conventions of docstrings and signatures that CONTRIBUTING.md asks for, held by the syntax trees of the code."""

import ast
import re

import pytest

from tests.conftest import ROOT

FILES = sorted(path for folder in ("bench", "models") for path in (ROOT / folder).rglob("*.py"))

FRAGMENTS = frozenset(
    "What Of Likewise How Where That Those As Why Who Which From To When If For With On In Alone Here At By".split()
)
"""first words of a docstring that is a fragment without the name above it"""

MOST = 5
"""parameters of a function whose docstring gives no reason for more"""


def documented(text):
    """Modules, classes and functions of a source text, with their docstrings, or those of their class."""
    tree = ast.parse(text)
    nodes = [tree, *(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef | ast.FunctionDef))]
    owner = {part: node for node in nodes if isinstance(node, ast.ClassDef) for part in node.body}
    for node in nodes:
        yield node, ast.get_docstring(node) or "", ast.get_docstring(owner[node]) or "" if node in owner else ""


def fragments(text):
    return [doc.splitlines()[0] for _, doc, _ in documented(text) if doc and re.split(r"\W", doc)[0] in FRAGMENTS]


def too_many(text):
    """Functions with more parameters than their docstring accounts for; that of a class is also its constructor's."""
    found = []
    for node, doc, of_class in documented(text):
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = sum(argument.arg not in ("self", "cls") for argument in arguments)
            reasons = doc + (of_class if node.name == "__init__" else "")
            if count > MOST and not re.search(r"^Many parameters: \w", reasons, re.MULTILINE):
                found.append(f"{node.name} has {count}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_open_with_a_verb_or_a_noun_phrase(path):
    assert not fragments(path.read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_more_than_five_parameters_have_a_reason(path):
    assert not too_many(path.read_text())


def test_what_the_conventions_refuse():
    assert fragments('"""Of a run."""\ndef f():\n    """What it does."""\n    """Where."""\n') == [
        "Of a run.",
        "What it does.",
    ]
    assert not fragments('"""Official names."""\n')
    five, six = "a, b, c, *, d, e", "a, b, c, *, d, e, f"
    assert too_many(f"def f({six}): pass\ndef g({five}): pass\n") == ["f has 6"]
    assert not too_many(f'def f({six}):\n    """Do it.\n\n    Many parameters: those of another.\n    """\n')
    assert not too_many(f"class A:\n    def f(self, {five}): pass\n")
    assert too_many(f'class A:\n    """A.\n\n    Many parameters: its own.\n    """\n    def f(self, {six}): pass\n')
