"""Where results go: rich tables on a terminal, aligned text in a pipe, JSON with `--json`."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from memqos.report.table import Table

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What writing says where there is no room left."""


class Output:
    """One command's output. With `as_json`, the command's one document goes to stdout and nothing else."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.on_terminal = not as_json and sys.stdout is not None and sys.stdout.isatty()

    def tables(self, document: Mapping[str, Any], *tables: Table) -> None:
        """Show `tables`, or `document` under `--json`."""
        if self.as_json:
            # in a locale that is not Unicode, JSON's own way to write what it lacks
            ascii_only = sys.stdout is not None and not (sys.stdout.encoding or "").lower().startswith("utf")
            print(json.dumps(document, indent=2, ensure_ascii=ascii_only, default=_builtins))
            return
        for index, table in enumerate(tables):
            if index:
                print()
            self._table(table)

    def line(self, text: str) -> None:
        """Say one line to a person; on stderr under `--json`."""
        print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def remark(self, text: str) -> None:
        """Say one line, or nothing where a full disk does not take it: the work matters more than its log."""
        try:
            self.line(text)
        except OSError as error:
            if error.errno not in FULL:
                raise

    def remarks(self, texts: Iterable[str]) -> None:
        """Say several lines like that."""
        for text in texts:
            self.remark(text)

    def lines(self, texts: Iterable[str]) -> None:
        """Say several lines."""
        for text in texts:
            self.line(text)

    def _plain(self, table: Table) -> None:
        print(*([f"{table.title}:"] if table.title else []), table.plain(), sep="\n")

    def _table(self, table: Table) -> None:
        if not self.on_terminal:
            self._plain(table)
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        console = Console()
        if not table.rows:
            console.print(Text(table.empty))
            return
        if console.width < table.least_width:
            self._plain(
                table
            )  # the terminal breaks its lines; a frame would leave a letter or two of each cell
            return
        drawn = RichTable(
            title=table.title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
        )
        for column in table.columns:
            drawn.add_column(column.heading, justify="right" if column.right else "left", overflow="fold")
        for row in table.texts():
            drawn.add_row(*(Text(cell) for cell in row))
        console.print(drawn)


def _builtins(value: object) -> Any:
    """Turn the model's values (a reclaim order, I/O limits) into JSON's."""
    import msgspec

    return msgspec.to_builtins(value)
