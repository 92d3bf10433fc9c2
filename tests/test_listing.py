"""The table of layers: whole in a file, and in a terminal never wider than it, with every reason."""

from __future__ import annotations

import pytest

import report_fixture
from reportgen.cli.layer_table import as_table, shortened
from reportgen.core.records import InputContract, LayerRecord

CONTRACT = InputContract(
    (None, None, 3), (224, 224), "crop", 0.0, 255.0, "unit", "the default where nothing says otherwise", None
)


def layer(path: str, **changes: object) -> LayerRecord:
    return report_fixture.layer(path.replace("/", "-")[:60], path=path, **{"unit": path, **changes})


LONG = "backbone/stages/3/blocks/17/convolutions/depthwise"
LAYERS = (
    layer("conv1", unit="conv1_relu", kernel_shape=(7, 7, 3, 64), filters_total=64),
    layer(LONG, parameters=1_234_567, receptive_field=None, receptive_field_note="the whole input"),
    layer("sum", kernel_shape=None, kernel_kind=None, receptive_field=None, receptive_field_note="the whole input"),
    *(layer(f"left{number}", status="skipped", reason="left out by --exclude") for number in range(6)),
    layer("deep", status="skipped", reason="it has four axes"),
)


def test_a_file_gets_everything_whole() -> None:
    text = as_table("net.keras", CONTRACT, LAYERS)
    assert "net.keras: input ?x?x3, preprocessing unit (the default" in text
    headings = text.splitlines()[2]
    assert [" ".join(words.split()) for words in headings.split("  ") if words] == [
        *("layer", "class", "kernel", "measured at", "output", "receptive field", "parameters", "filters shown")
    ]
    for words in (LONG, "conv1_relu (relu)", "own output (relu)", "7x7x3x64", "1,234,567", "6 of 64", "left5"):
        assert words in text
    assert "3 layers, 76 filters, 18 shown; 7 not in the report" in text


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
def test_no_line_is_wider_than_the_terminal_and_every_layer_and_reason_is_there(width: int) -> None:
    lines = as_table("net.keras", CONTRACT, LAYERS, width).splitlines()
    assert max(map(len, lines)) <= width
    table = lines[lines.index("") + 1 :]
    assert table[0].split()[0] == "layer"
    assert [row.split()[0] for row in table[:5]] == [
        "layer",
        table[1].split()[0],
        "conv1",
        shortened(LONG, table[1].index(" ")),
        "sum",
    ]
    text = " ".join(" ".join(lines).split())
    assert "left0 (Conv2D), left1 (Conv2D), left2 (Conv2D), left3 (Conv2D) and 2 more: left out by --exclude" in text
    assert "deep (Conv2D): it has four axes" in text
    assert f"{LONG} (Conv2D), sum (Conv2D): the whole input" in text


def test_columns_stand_under_their_headings() -> None:
    head, rule, *rows = as_table("net.keras", CONTRACT, LAYERS, 120).splitlines()[2:7]
    starts = [place for place in range(len(rule)) if rule[place] == "-" and (place == 0 or rule[place - 1] == " ")]
    for row in rows:
        assert all(place == 0 or row[place - 1] == " " for place in starts if place < len(row))
    assert head.index("class") in starts


def test_a_layer_of_which_no_filter_is_shown_says_so_and_one_filter_is_not_filters() -> None:
    lacking = layer("conv1", filters_total=1, filters_shown=())
    lines = as_table("net.keras", CONTRACT, [lacking]).splitlines()
    assert lines[4].endswith("  0 of 1")
    assert "1 layer, 1 filter, 0 shown" in lines
    assert "1 layer, 1 filter, all shown" in as_table(
        "net.keras", CONTRACT, [layer("conv1", filters_total=1, filters_shown=(0,))]
    )


def test_a_path_is_shortened_in_its_middle() -> None:
    assert shortened("block/conv", 10) == "block/conv"
    short = shortened(LONG, 20)
    assert (len(short), short[:6], short[-13:]) == (20, LONG[:6], LONG[-13:])


def test_many_layers_of_one_reason_are_named_by_where_they_stand() -> None:
    unknown = {"receptive_field": None, "receptive_field_note": "the whole input"}
    seen, deep = [layer(f"a{number}") for number in range(3)], [layer(f"b{number}", **unknown) for number in range(40)]
    text = as_table("net.keras", CONTRACT, [*seen, *deep])
    assert "  all layers from b0 on: the whole input" in text.splitlines()
    assert "  all layers: the whole input" in as_table("net.keras", CONTRACT, deep).splitlines()
    assert "  all layers from b0 to b39: the whole input" in as_table("n", CONTRACT, [*deep, *seen]).splitlines()
    mixed = [layer(f"a{number}", **(unknown if number % 2 else {})) for number in range(20)]
    assert "a1 (Conv2D), a3 (Conv2D), a5 (Conv2D), a7 (Conv2D) and 6 more: the whole" in as_table("n", CONTRACT, mixed)


def test_what_failed_and_what_has_weights_alone_is_no_choice_of_the_users() -> None:
    lost = layer("lost", status="failed", reason="the model stopped before it")
    bare = layer("bare", reason="it does not depend on the primary input")
    lines = as_table("net.keras", CONTRACT, [layer("whole"), lost, bare]).splitlines()
    assert lines[lines.index("failed:") + 1] == "  lost (Conv2D): the model stopped before it"
    assert lines[lines.index("only the weights:") + 1] == "  bare (Conv2D): it does not depend on the primary input"
    assert "not in the report:" not in lines
    assert any(line.endswith("1 failed; 1 with weights alone") for line in lines)
