"""A hash of the code that decides a measurement, which a change of layout or wording leaves as it is.

A measurement is stale once the code behind it has changed. That code is read and not run, so that a laptop without
torch can tell: from the function that measures and the network's factory on, every function, class and constant of the
suite that they name, and that these name in turn. Each counts by its syntax tree, as follows.

- Places do not count: the module and its package, the order of files and of definitions. An imported name counts as
  what it stands for, however it was imported: ``nn.Linear`` is ``torch.nn.Linear``.
- Wording does not count: comments, docstrings, formatting, type annotations (but for the fields of a class), what an
  exception says. Nor does ``__all__``, or anything else that no counted code names.
- All else counts, in whole definitions: names, constants, operators, defaults, decorators. So do, for their effect, the
  statements that bind no name in a module of which anything counts.

Names are followed, values are not: code that arrives as an argument, or is looked up by a string, does not count. timm
looks its networks up by a string; they are found here.
"""

import ast
import copy
import functools
import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PACKAGES = ("bench", "models")
"""whose code is followed; a library has a version instead"""

_Key = tuple[str, str]
"""a module, and a name that it defines; "" for its statements that bind none"""

_Scope = Mapping[str, str]
"""names that functions bind: imported ones to what they stand for, in dotted form, others to nothing"""

_NOT_RUN = ("TYPE_CHECKING", "__name__ == '__main__'")
"""conditions that do not hold while a module is imported"""

_SETTINGS = "default_cfgs"
"""what timm calls a module's settings of its networks"""

_IGNORED = frozenset({"annotation", "returns", "ctx", "kind", "type_comment"})
"""fields of a syntax tree"""


@functools.cache
def source_sha256(measure: Callable[..., object], model: str) -> str:
    """Hash the code that decides a measurement.

    Args:
        measure: what makes it; a function at the top of its module.
        model: name of the measured network; one of timm's own adds nothing.
    """
    texts, todo = _factory(model)
    todo.append((measure.__module__, measure.__name__))
    seen = set()
    while todo:
        key = todo.pop()
        if key not in seen:
            seen.add(key)
            text, named = _definition(key)
            texts.append(text)
            todo += [*named, (key[0], "")]
    return hashlib.sha256("\0".join(sorted(filter(None, texts))).encode()).hexdigest()


def _factory(model: str) -> tuple[list[str], list[_Key]]:
    """The code that timm finds by one of our networks' names: its function, and its entry in the module's settings."""
    texts: list[str] = []
    keys: list[_Key] = []
    folder = _folder("models")
    for file in folder.rglob("*.py"):
        module = _module(".".join(("models", *file.relative_to(folder).with_suffix("").parts)))
        if module and any(isinstance(node, ast.FunctionDef) for node in module.definitions.get(model, ())):
            settings = [_without_others(node, model, module) for node in module.definitions.get(_SETTINGS, ())]
            text, named = _read(module, settings)
            texts.append(text)
            keys += [(module.name, model), *(key for key in named if key[1] != _SETTINGS)]
    return texts, keys


def _without_others(settings: ast.stmt, model: str, module: "_Module") -> ast.stmt:
    """Settings of a module's networks without those of its other networks, so that another network changes nothing."""
    settings = copy.deepcopy(settings)
    others = module.definitions.keys() - {model}
    for node in ast.walk(settings):
        if isinstance(node, ast.Dict):
            entries = list(zip(node.keys, node.values, strict=True))
            kept = [entry for entry in entries if _network(entry[0]) not in others]
            node.keys, node.values = [key for key, _ in kept], [value for _, value in kept]
    return settings


def _network(key: ast.expr | None) -> str:
    """The network that an entry of settings is for; timm may have a tag of its weights behind it."""
    return str(key.value).partition(".")[0] if isinstance(key, ast.Constant) else ""


# What modules define


@dataclass(frozen=True, slots=True, kw_only=True)
class _Module:
    """The statements of a module by the names that they bind, "" for those that bind none, and what it imports."""

    name: str
    definitions: Mapping[str, list[ast.stmt]]
    imports: _Scope


@functools.cache
def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # of a package at the top, which is not imported for it
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"no package {package!r}: install t2t-bench as a whole, or run it from its checkout")
    return Path(spec.submodule_search_locations[0])


@functools.cache
def _module(name: str) -> _Module | None:
    """A module of ours by its dotted name; None if there is none."""
    package, *below = name.split(".")
    if package not in _PACKAGES:
        return None
    path = _folder(package).joinpath(*below)
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        return None
    definitions: dict[str, list[ast.stmt]] = {}
    imports: dict[str, str] = {}
    for statement in ast.parse(file.read_bytes()).body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) in _NOT_RUN:
            continue
        bound = _bound([statement])
        imports |= {name: origin for name, origin in bound.items() if origin}
        for each in [name for name, origin in bound.items() if not origin] if bound else [""]:
            definitions.setdefault(each, []).append(statement)
    return _Module(name=name, definitions=definitions, imports=imports)


def _bound(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """The names that code binds in its own scope, as a ``_Scope`` has them."""
    names: dict[str, str] = {}
    elsewhere: set[str] = set()
    todo = list(nodes)
    while todo:
        node = todo.pop()
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:  # ``import torch.nn`` binds torch
                    origin = alias.name if alias.asname else alias.name.partition(".")[0]
                    names[alias.asname or origin] = origin
            case ast.ImportFrom(module=origin, names=aliases):
                names |= {alias.asname or alias.name: f"{origin}.{alias.name}" for alias in aliases}
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names[name] = ""
                continue
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                continue
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                names[name] = ""
            case ast.Global(names=outer):
                elsewhere.update(outer)
        todo += ast.iter_child_nodes(node)
    return {name: origin for name, origin in names.items() if name not in elsewhere}


def _resolve(dotted: str) -> tuple[str, list[_Key]]:
    """A dotted name as it counts, and our definitions behind it."""
    parts = dotted.split(".")
    module = next(filter(None, (_module(".".join(parts[:i])) for i in range(len(parts), 0, -1))), None)
    if module is None:
        return dotted, []
    name, *attributes = parts[module.name.count(".") + 1 :] or [""]
    if not name:  # the module itself, for whoever takes it
        return "@module", [(module.name, each) for each in module.definitions]
    if name not in module.definitions and name in module.imports:
        return _resolve(".".join((module.imports[name], *attributes)))
    return "@" + ".".join((name, *attributes)), [(module.name, name)]


# How definitions count


@functools.cache
def _definition(key: _Key) -> tuple[str, list[_Key]]:
    module = _module(key[0])
    return _read(module, module.definitions.get(key[1], ())) if module else ("", [])


def _read(module: _Module, statements: Iterable[ast.stmt]) -> tuple[str, list[_Key]]:
    """Statements as they count, and the definitions that they name."""
    reader = _Reader(module)
    return "\n".join(filter(None, (reader.text(statement, {}) for statement in statements))), reader.named


class _Reader:
    def __init__(self, module: _Module) -> None:
        self.module = module
        self.named: list[_Key] = []

    def text(self, node: ast.AST, scope: _Scope) -> str:
        """A part of a syntax tree as it counts, "" if it does not.

        Args:
            node: the part.
            scope: of the functions around it.
        """
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Expr(value=ast.Constant()):
                return ""
            case ast.AnnAssign(value=None):
                return ""
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                return self.text(ast.Assign(targets=[target], value=value), scope)
            case ast.Raise():
                return "Raise"
            case ast.Assert(test=test):
                return f"Assert({self.text(test, scope)})"
            case ast.Constant(value=value):
                return repr(value)
            case ast.Name() | ast.Attribute():
                return self._name(node, scope)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return self._fields(node, scope, body={**scope, **_bound([node.args, *node.body])})
            case ast.Lambda():
                return self._fields(node, scope, body={**scope, **_bound([node.args, node.body])})
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                inner = {**scope, **_bound(each.target for each in node.generators)}
                return self.text(node.generators[0].iter, scope) + self._fields(node, inner)
            case ast.ClassDef():
                return self._class(node, scope)
            case _:
                return self._fields(node, scope)

    def _name(self, node: ast.Name | ast.Attribute, scope: _Scope) -> str:
        """A name with its attributes: what it stands for, if it is a global one."""
        attributes: list[str] = []
        base: ast.expr = node
        while isinstance(base, ast.Attribute):
            attributes.insert(0, base.attr)
            base = base.value
        if not isinstance(base, ast.Name):
            return ".".join((self.text(base, scope), *attributes))
        if base.id in scope:
            origin = scope[base.id]
        else:
            known = base.id in self.module.definitions or base.id in self.module.imports
            origin = f"{self.module.name}.{base.id}" if known else ""
        if not origin:  # a local variable, or one of Python's own names
            return ".".join((base.id, *attributes))
        text, named = _resolve(".".join((origin, *attributes)))
        self.named += named
        return text

    def _class(self, node: ast.ClassDef, scope: _Scope) -> str:
        """A class, whose fields count without a value too, and whose names its functions do not see."""
        inner = {**scope, **_bound(node.body)}
        texts = [self._fields(ast.ClassDef(**{**dict(ast.iter_fields(node)), "body": []}), scope)]
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                texts.append(self.text(statement, scope))
            elif isinstance(statement, ast.AnnAssign):
                texts.append(self._fields(statement, inner))
            else:
                texts.append(self.text(statement, inner))
        return "\n".join(filter(None, texts))

    def _fields(self, node: ast.AST, scope: _Scope, body: _Scope | None = None) -> str:
        """A node by its type and its fields; empty ones, of which each Python has others, do not count."""
        fields = []
        for name, value in ast.iter_fields(node):
            inner = body if body and name == "body" else scope
            if name in _IGNORED or value is None or value == []:
                continue
            values = value if isinstance(value, list) else [value]
            texts = [self.text(each, inner) if isinstance(each, ast.AST) else repr(each) for each in values]
            fields.append(f"{name}={','.join(filter(None, texts))}")
        return f"{type(node).__name__}({' '.join(fields)})"
