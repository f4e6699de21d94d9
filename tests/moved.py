"""A copy of the suite whose modules lie elsewhere."""

import ast

from tests.conftest import ROOT


class _Imports(ast.NodeTransformer):
    def __init__(self, moved):
        self.moved = moved

    def visit_ImportFrom(self, node):
        """Follow modules to where they went; ``from bench import data, job`` becomes two imports."""
        imports = []
        for alias in node.names:
            module, name = node.module, alias.name
            if f"{module}.{name}" in self.moved:
                module, _, name = self.moved[f"{module}.{name}"].rpartition(".")
            new = ast.alias(name, alias.asname or (alias.name if name != alias.name else None))
            imports.append(ast.ImportFrom(self.moved.get(module, module), [new], 0))
        return imports


def move_suite(folder, moved, change=lambda name, tree: tree):
    """Write bench/ and models/ into a folder, without comments and formatted anew.

    Args:
        folder: to write into.
        moved: new names of modules, by their old ones.
        change: of a module's name and syntax tree; returns the tree to write.
    """
    for package in ("bench", "models"):
        for path in ROOT.glob(f"{package}/**/*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            tree = ast.fix_missing_locations(_Imports(moved).visit(change(name, ast.parse(path.read_text()))))
            new = folder.joinpath(*moved.get(name, name).split(".")).with_suffix(".py")
            new.parent.mkdir(parents=True, exist_ok=True)
            new.write_text("# a comment\n\n\n" + ast.unparse(tree))
