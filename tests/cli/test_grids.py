"""Tables on the terminal show what their cells hold."""

import pandas as pd

from bench.cli.grids import _print_grid


def test_a_cell_is_no_markup_and_commands_no_terminal(capsys):
    _print_grid("Runs of [/title]", pd.DataFrame({"Model": ["[/red] [bold]x :bug: \x1b[31m\u202e"], "n": ["1"]}))
    title, _, line = capsys.readouterr().out.splitlines()
    assert title.strip() == "Runs of [/title]"
    assert line.split() == ["[/red]", "[bold]x", ":bug:", r"\x1b[31m\u202e", "1"]
