from pathlib import Path

import pytest

from memqos.report.figures import Line, Marker, Panel, save_figure


def test_a_figure_is_a_png_with_every_panel(tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image", reason="needs the extra: pip install memqos[lab]")
    panels = [
        Panel("alone", "MiB", (Line("heap", [0, 1, 2], [0, 50, 64]),), (Marker("killed", x=2),)),
        Panel(
            "with swap",
            "MiB",
            (Line("heap", [0, 1], [0, 90]), Line("swap", [0, 1], [0, 26])),
            (Marker("limit", y=64),),
        ),
    ]
    one, two = tmp_path / "one.png", tmp_path / "sub" / "two.png"
    save_figure(panels[:1], one)
    save_figure(panels, two, title="E5", note="6.12")
    assert image.imread(two).shape[1] > image.imread(one).shape[1]


def test_with_columns_panels_stand_in_rows(tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image", reason="needs the extra: pip install memqos[lab]")
    panel = Panel("a", "MiB", (Line("heap", [0, 1], [0, 50]),))
    row, rows = tmp_path / "row.png", tmp_path / "rows.png"
    save_figure([panel] * 2, row, columns=2)
    save_figure([panel] * 3, rows, columns=2)
    assert image.imread(rows).shape[0] > image.imread(row).shape[0]
    assert image.imread(rows).shape[1] == image.imread(row).shape[1]
