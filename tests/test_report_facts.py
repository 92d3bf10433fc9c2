"""report.json: the keys of the contract, scores checked against plain arithmetic, words for what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest

import report_fixture
from reportgen.artefacts.feature_maps import FEATURE_MAPS
from reportgen.artefacts.layer_entry import layer_entry, read_layer
from reportgen.artefacts.minimal_patterns import MINIMAL_PATTERNS
from reportgen.artefacts.patterns import PATTERNS
from reportgen.core.numbers import plain
from reportgen.core.store import Store
from reportgen.report.assemble import assemble

SCHEMA = Path(__file__).parent.parent / "reportgen" / "report" / "report.schema.json"


@pytest.fixture
def report(tmp_path: Path) -> dict:
    report_fixture.make(tmp_path)
    return document(tmp_path)


def document(folder: Path) -> dict:
    """report.json of the run that is stored in `folder`."""
    assemble(folder)
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_document_fits_the_schema(report: dict) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(report)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "reportgen/1"),
        (("layers", 0, "status"), "done"),
        (("layers", 0, "slug"), "../up"),
        (("layers", 0, "patterns", "filters", 0, "verdict"), "fine"),
        (("layers", 0, "patterns", "filters", 0, "activation"), "3"),
        (("layers", 0, "patterns", "filters", 0, "above"), ["mean"]),
        (("layers", 0, "patterns", "filters", 0, "peak"), "3"),
        (("layers", 0, "patterns", "filters", 0, "natural_peak"), "3"),
        (("layers", 0, "patterns", "filters", 0, "strongest"), None),
        (("layers", 0, "patterns", "filters", 0, "search"), None),
        (("layers", 0, "patterns", "filters", 0, "survives_warps"), "all"),
        (("layers", 0, "patterns", "array"), "/etc/passwd"),
        (("layers", 0, "patterns", "crop"), -1),
        (("layers", 0, "patterns", "filters", 0, "redirected_relu"), None),
        (("layers", 0, "patterns", "filters", 0, "restart_similarity"), 1.5),
        (("layers", 0, "patterns", "filters", 0, "label"), 3),
        (("layers", 0, "minimal_patterns", "filters", 0, "pre_activation"), "low"),
        (("layers", 0, "minimal_patterns", "filters", 0, "below_natural"), 1),
        (("layers", 0, "minimal_patterns", "array"), "../minimal_patterns.npz"),
        (("layers", 4, "labels"), "cat"),
        (("layers", 4, "labels"), [1]),
        (("layers", 3, "reason"), None),
        (("images", 0, "predictions", 0, "probability"), 1.5),
        (("images", 1, "predictions_note"), 1),
        (("layers", 0, "filters_shown"), [1, 1]),
        (("model", "parameters"), "many"),
        (("model", "parameters"), -1),
    ],
)
def test_the_schema_refuses_what_the_contract_forbids(tmp_path: Path, path: tuple, value: object) -> None:
    report_fixture.make(tmp_path, negative=True, outputs=True)
    report = document(tmp_path)
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    changed = json.loads(json.dumps(report))
    assert validator.is_valid(changed)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not validator.is_valid(changed)


def test_every_key_that_other_programs_rely_on_is_there(report: dict) -> None:
    contract = [
        "path",
        "name",
        "slug",
        "class",
        "status",
        "reason",
        "unit",
        "kernel_shape",
        "strides",
        "dilation",
        "groups",
        "padding",
        "output_shape",
        "receptive_field",
        "parameters",
        "activation",
        "weights",
        "filters_total",
        "filters_shown",
        "patterns",
        "feature_maps",
        "labels",
        "initial_weights",
        "minimal_patterns",
    ]
    assert {"schema", "model", "settings", "environment", "images", "layers"} <= set(report)
    for layer in report["layers"]:
        assert set(contract) <= set(layer)
    colour = report["layers"][0]
    assert {"minimum", "maximum", "mean", "std", "zero_fraction"} <= set(colour["weights"])
    assert {"array", "size", "steps", "natural_crops", "filters", "crop"} <= set(colour["patterns"])
    assert {"image", "array", "key", "minimum", "maximum", "zero_fraction"} <= set(colour["feature_maps"][0])
    filter_keys = ["index", "verdict", "activation", "activation_start", "natural_maximum", "peak", "natural_peak"]
    filter_keys += ["strongest", "survives_warps", "seed", "label", "restart_similarity", "redirected_relu"]
    assert set(filter_keys) <= set(colour["patterns"]["filters"][0])
    assert {"activation", "peak", "search"} <= set(colour["patterns"]["filters"][0]["strongest"])


def test_images_say_why_they_have_no_predictions_and_only_a_fault_is_a_problem(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, missing=False)
    store = Store(tmp_path)
    notes = [image["predictions_note"] for image in document(tmp_path)["images"]]
    assert notes == [None, "no predictions: the model's output is not a vector of class probabilities", None]
    assert not any("plain.png" in problem for problem in assemble(tmp_path).problems)

    arrays, _ = store.load("im-plain")
    store.save("im-plain", arrays, {"predictions": None, "reason": "the model's predictions are not finite numbers"})
    assert document(tmp_path)["images"][1]["predictions_note"] == "the model's predictions are not finite numbers"
    assert "plain.png: the model's predictions are not finite numbers." in assemble(tmp_path).problems

    (store.folder / "im" / "im-plain.npz").unlink()
    store.save_failure("im-plain", "it is gone.")
    note = "its picture and predictions are not computed: it is gone"
    assert document(tmp_path)["images"][1]["predictions_note"] == note
    assert f"plain.png: {note}." in assemble(tmp_path).problems


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            "a.png is no PNG or GIF image; convert it to one.",
            "a.png: left out, it is no PNG or GIF image; convert it to one.",
        ),
        ("a.png has 3 bands:", "a.png: left out, it has 3 bands."),
        ("it is cut short", "a.png: left out, it is cut short."),
        ("a.pngs differ!", "a.png: left out, a.pngs differ!"),
        ("", "a.png: left out, it cannot be read."),
    ],
)
def test_an_image_that_is_left_out_is_named_once_in_one_clean_sentence(
    tmp_path: Path, reason: str, expected: str
) -> None:
    plan = report_fixture.make(tmp_path, missing=False)
    report_fixture.replan(tmp_path, plan, images_left_out=({"name": "a.png", "reason": reason},))
    assert assemble(tmp_path).problems[0] == expected


def test_one_reason_for_which_a_layer_lacks_several_things_stands_once(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    for key in ("fm-deep-cat", "fm-deep-plain", "na-deep", "pp-deep-late"):
        (store.folder / key[:2] / f"{key}.npz").unlink(missing_ok=True)
        store.save_failure(key, "ValueError: the machine\nis tired.:")
    (sentence,) = [problem for problem in assemble(tmp_path).problems if problem.startswith("deep")]
    assert sentence == (
        f"deep: feature maps of 2 of 2 images are not computed ({report_fixture.HOSTILE_IMAGE}, plain.png), and natural "
        "maxima are not computed, so patterns are compared with their start, and patterns of 7 of 14 filters are not "
        "computed: ValueError: the machine is tired."
    )


def test_a_reason_of_the_plan_ends_in_one_stop(tmp_path: Path) -> None:
    plan = report_fixture.make(tmp_path, missing=False)
    failed = report_fixture.layer("colour", status="failed", reason="the graph is cut:")
    report_fixture.replan(tmp_path, plan, layers=(failed, *plan.layers[1:]))
    assert "colour: the graph is cut." in assemble(tmp_path).problems


def test_maps_are_read_as_they_were_before_they_were_scaled(tmp_path: Path) -> None:
    plan = report_fixture.make(tmp_path)
    store = Store(tmp_path)
    arrays = {"maps": np.full((2, 2, 6), 1.5, np.float16), "pre": np.full((2, 2, 6), -1.25, np.float16)}
    arrays["peak"] = np.full(6, 1.5 * 2**30, np.float32)  # is not scaled
    store.save("fm-colour-cat", arrays, {"exponent": 30, "pre_exponent": -30})
    cat, plain_png = read_layer(plan, store, plan.layers[0])[FEATURE_MAPS] or ()
    assert cat.pre is not None
    assert (cat.maps.dtype, cat.maps.max(), cat.peak.max()) == (np.float32, 1.5 * 2**30, 1.5 * 2**30)
    assert (cat.pre.dtype, cat.pre.min()) == (np.float32, -1.25 / 2**30)
    assert plain_png.maps.dtype == np.float16


def test_statuses_are_rendered_failed_and_skipped_with_reasons(report: dict) -> None:
    assert [(layer["status"], layer["reason"]) for layer in report["layers"]] == [
        ("rendered", None),
        ("failed", "patterns of 7 of 14 filters are not computed"),
        ("rendered", None),
        ("skipped", "it is no convolution"),
    ]


def test_filters_carry_their_scores_verdicts_and_seeds_in_the_order_of_indices(report: dict) -> None:
    patterns = report["layers"][0]["patterns"]
    assert patterns["filters"][0] == {
        "index": 0,
        "label": None,
        "verdict": "ok",
        "above": ["activation"],
        "activation": 3.0,
        "activation_start": 0.0,
        "pre_activation": 3.0,
        "peak": 6.0,
        "peak_start": 0.0,
        "search": "sign ascent",
        "survives_warps": 0.75,
        "strongest": {"activation": 3.0, "peak": 6.0, "search": "sign ascent"},
        "strongest_peak": {"activation": 3.0, "peak": 6.0, "search": "sign ascent"},
        "best_pre_activation": 6.0,
        "natural_maximum": 1.0,
        "natural_minimum": 0.0,
        "natural_image": "cat",
        "natural_peak": 6.0,
        "natural_peak_image": "cat",
        "restart_similarity": None,
        "redirected_relu": False,
        "seed": 1000,
    }
    assert [item["index"] for item in patterns["filters"]] == [0, 1, 2, 3, 4, 5]
    assert [item["verdict"] for item in patterns["filters"]] == ["ok", "dead", "ok", "not-finite", "ok", "ok"]
    assert patterns["filters"][4]["strongest"] == {"activation": 9.0, "peak": 11.0, "search": "sign patches"}
    assert report["layers"][2]["patterns"]["filters"][0]["strongest_peak"] == {
        "activation": 0.5,
        "peak": 13.0,
        "search": "search for silent filters",
    }
    assert patterns["filters"][3]["activation"] is None
    assert [item["seed"] for item in patterns["filters"]] == [1000, 1001, 1002, 1003, 1004, 1005]
    assert patterns["size"] == [16, 12]
    assert patterns["natural_crops"] == 78
    assert patterns["crop"] == 0
    assert report["layers"][0]["minimal_patterns"] is None
    assert report["layers"][0]["labels"] is None


def test_only_a_stored_proof_makes_a_filter_dead(tmp_path: Path) -> None:
    """The same scores, all zero, are those of a dead filter with the proof and of a silent one without."""
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    arrays, facts = store.load("pp-colour-early")
    assert arrays["activation"][1] == 0
    store.save("pp-colour-early", {**arrays, "dead": np.zeros(3, bool)}, facts)
    found = document(tmp_path)["layers"][0]["patterns"]["filters"][1]
    assert found["verdict"] == "silent"
    assert found["best_pre_activation"] == -0.125  # nearer than the images' -0.25


def replant(folder: Path, key: str, row: int, **values: float) -> None:
    """Change scores of one filter of a stored task."""
    store = Store(folder)
    arrays, facts = store.load(key)
    for name, value in values.items():
        arrays[name][row] = value
    store.save(key, arrays, facts)


def test_the_natural_peak_takes_in_the_images_as_their_feature_maps_show_them(tmp_path: Path) -> None:
    """Crops are enlarged or moved: a map that is shown beside the verdict may have a higher position than any of them."""
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    arrays, facts = store.load("fm-colour-plain")
    arrays["maps"][3, 4, 0] = 17
    store.save("fm-colour-plain", {**arrays, "peak": arrays["maps"].max(axis=(0, 1)).astype(np.float32)}, facts)
    replant(tmp_path, "pp-colour-early", 0, activation=0.5, peak=16, strongest_activation=0.5, strongest_peak=16)
    first = document(tmp_path)["layers"][0]["patterns"]["filters"][0]
    assert (first["natural_peak"], first["natural_peak_image"]) == (17.0, "plain")
    assert (first["natural_maximum"], first["natural_image"]) == (1.0, "cat")
    assert (first["verdict"], first["above"]) == ("weak", [])
    replant(tmp_path, "pp-colour-early", 0, peak=18)
    first = document(tmp_path)["layers"][0]["patterns"]["filters"][0]
    assert (first["verdict"], first["above"]) == ("ok", ["peak"])


def test_a_filter_that_is_active_on_a_shown_map_is_not_silent(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    arrays, facts = store.load("fm-deep-cat")
    _, index = report_fixture.SILENT
    arrays["maps"][0, 0, index] = 0.25
    store.save("fm-deep-cat", {**arrays, "peak": arrays["maps"].max(axis=(0, 1)).astype(np.float32)}, facts)
    (found,) = [item for item in document(tmp_path)["layers"][1]["patterns"]["filters"] if item["index"] == index]
    assert (found["verdict"], found["natural_peak"], found["natural_peak_image"]) == ("weak", 0.25, "cat")


def strongest(folder: Path, reached: float) -> None:
    """Plant a strongest picture of filter 0 of the first layer, whose pattern the images exceed, that reaches so much."""
    store = Store(folder)
    arrays, facts = store.load("pp-colour-early")
    arrays |= {"strongest_images": 255 - arrays["images"][:1], "strongest_indices": np.zeros(1, np.int32)}
    store.save("pp-colour-early", arrays, facts)
    replant(folder, "pp-colour-early", 0, activation=0.75, peak=1, pre_activation=0.75)
    replant(folder, "pp-colour-early", 0, strongest_activation=reached, strongest_peak=2, strongest_search=3)
    replant(folder, "pp-colour-early", 0, strongest_pre_activation=reached - 0.125, highest_peak=2)


def test_a_weak_pattern_gives_way_to_the_strongest_picture_where_that_is_above_the_images(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    strongest(tmp_path, 1.25)  # the images reach 1
    shown = Store(tmp_path).load("pp-colour-early")[0]
    first, *others = document(tmp_path)["layers"][0]["patterns"]["filters"]
    assert (first["verdict"], first["above"]) == ("ok", ["activation"])
    assert (first["activation"], first["peak"], first["search"]) == (1.25, 2.0, "sign patches")
    assert first["survives_warps"] is None  # it was measured of the other picture
    assert first["strongest"] == {"activation": 1.25, "peak": 2.0, "search": "sign patches"}
    assert [item["search"] for item in others] == ["sign ascent"] * 5
    with np.load(tmp_path / "data/colour/patterns.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["images"][0], shown["strongest_images"][0])
        np.testing.assert_array_equal(archive["images"][1:3], shown["images"][1:])
        assert archive["strongest_indices"].tolist() == [report_fixture.FAR[1]]  # its own is shown already


def test_a_weak_pattern_stays_where_the_strongest_picture_is_below_the_images_too(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    strongest(tmp_path, 0.9375)
    first = document(tmp_path)["layers"][0]["patterns"]["filters"][0]
    assert (first["verdict"], first["activation"], first["search"]) == ("weak", 0.75, "sign ascent")
    assert first["strongest"]["activation"] == 0.9375


def test_without_images_no_pattern_gives_way(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, images=False)
    strongest(tmp_path, 1.25)
    assert document(tmp_path)["layers"][0]["patterns"]["filters"][0]["activation"] == 0.75


def test_the_strongest_picture_need_not_be_stored_where_it_is_the_shown_one_measured_again(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    below, above = np.float32(1), np.nextafter(np.float32(1), np.float32(2))  # the images reach 1
    replant(tmp_path, "pp-colour-early", 0, activation=below, peak=1, strongest_activation=above, strongest_peak=1)
    shown = Store(tmp_path).load("pp-colour-early")[0]["images"]
    assert document(tmp_path)["layers"][0]["patterns"]["filters"][0]["verdict"] == "ok"
    with np.load(tmp_path / "data/colour/patterns.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["images"][:3], shown)


def contradictions(patterns: dict, proven: set[int]) -> list[tuple[int, str]]:
    """Filters of a layer's `patterns` in report.json whose verdict the scores beside it deny; `proven` are stored as dead."""
    found = []
    against = patterns["natural_crops"] is not None
    for item in patterns["filters"]:
        own, other = (item["activation"], item["peak"]), (item["natural_maximum"], item["natural_peak"])
        compared = zip(("activation", "peak"), own, other, strict=True)
        above = [name for name, mine, theirs in compared if against and mine is not None and mine > (theirs or 0)]
        word, maps = item["verdict"], [*own, *other, item["strongest"]["peak"], item["strongest_peak"]["peak"]]
        denied = {
            "ok": item["above"] == [] or (against and item["above"] != above),
            "weak": bool(above) or item["above"] != [],
            "silent": any(value is not None and value > 0 for value in maps) or item["index"] in proven,
            "dead": item["index"] not in proven or (against and len({*own, *other}) > 1),
            "not-finite": None not in (*own, item["activation_start"], *(other if against else ())),
        }
        if denied[word]:
            found.append((item["index"], word))
    return found


@pytest.mark.parametrize("images", [True, False])
def test_no_verdict_contradicts_a_score_beside_it(tmp_path: Path, images: bool) -> None:
    """Of hundreds of filters with scores from a small set, so that ties, zeros and broken numbers meet."""
    plan = report_fixture.make(tmp_path, images=images, missing=False)
    store, numbers = Store(tmp_path), np.random.Generator(np.random.PCG64(5))
    values = np.array([0, 0, 0, 1, 2, 3, np.nan], np.float32)
    seen: set[str] = set()
    for _ in range(6):
        for name in ("early", "late"):
            for slug in ("colour", "deep"):
                arrays, facts = store.load(f"pp-{slug}-{name}")
                count = len(arrays["indices"])
                scores = numbers.choice(values, (3, count))
                arrays |= {"activation": scores[0], "peak": np.fmax(scores[0], scores[1])}
                arrays |= {"strongest_activation": np.fmax(scores[0], scores[2])}
                arrays |= {"strongest_peak": arrays["strongest_activation"]}
                arrays |= {"highest_peak": np.fmax(arrays["peak"], arrays["strongest_peak"])}
                arrays |= {"strongest_images": 255 - arrays["images"], "strongest_indices": arrays["indices"]}
                arrays |= {"dead": np.zeros(count, bool)}
                store.save(f"pp-{slug}-{name}", arrays, facts)
        for slug in ("colour", "deep") if images else ():
            arrays, facts = store.load(f"na-{slug}")
            natural = numbers.choice(values, len(arrays["maximum"]))
            store.save(f"na-{slug}", {**arrays, "maximum": natural, "peak": natural}, facts)
            for image in ("cat", "plain"):
                arrays, facts = store.load(f"fm-{slug}-{image}")
                peak = numbers.choice(values[:-1], arrays["peak"].shape)
                store.save(f"fm-{slug}-{image}", {**arrays, "peak": peak}, facts)
        for record in plan.layers[:2]:
            contents = read_layer(plan, store, record)
            patterns = json.loads(msgspec.json.encode(layer_entry(contents).patterns))
            found = contents[PATTERNS]
            assert found is not None
            assert contradictions(patterns, set(found.indices[found.dead].tolist())) == []
            seen |= {item["verdict"] for item in patterns["filters"]}
    assert seen == {"ok", "weak", "silent", "not-finite"}


def test_restart_similarity_and_redirected_gradients_are_stated_beside_the_scores(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    arrays, facts = store.load("pp-colour-late")
    arrays |= {
        "restart_similarity": np.array([0.5, np.nan, 1], np.float32),
        "redirected_relu": np.array([False, True, False]),
    }
    store.save("pp-colour-late", arrays, {**facts, "crop": 3})
    arrays, facts = store.load("pp-colour-early")
    store.save("pp-colour-early", arrays, {**facts, "crop": 3})
    patterns = document(tmp_path)["layers"][0]["patterns"]
    assert [item["restart_similarity"] for item in patterns["filters"]] == [None, None, None, 0.5, None, 1.0]
    assert [item["redirected_relu"] for item in patterns["filters"]] == [False, False, False, False, True, False]
    assert patterns["crop"] == 3


def test_minimal_patterns_carry_their_pre_activations_and_what_the_images_reach(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, negative=True)
    report = document(tmp_path)
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(report)
    negative = report["layers"][0]["minimal_patterns"]
    assert {name: value for name, value in negative.items() if name != "filters"} == {
        "array": "data/colour/minimal_patterns.npz",
        "missing": [],
    }
    assert negative["filters"][0] == {
        "index": 0,
        "activation": 0.0,
        "pre_activation": -2.0,
        "pre_activation_start": 0.25,
        "natural_pre_minimum": -1.5,
        "below_natural": True,
        "restart_similarity": None,
        "redirected_relu": False,
        "seed": 2000,
    }
    assert [item["pre_activation"] for item in negative["filters"]] == [-2.0, 0.25, -1.0, None, -2.0, -2.0]
    assert [item["below_natural"] for item in negative["filters"]] == [True, False, False, None, True, True]
    assert report["layers"][1]["minimal_patterns"]["missing"] == [35, 40, 45, 50, 55, 60, 65]


def test_without_images_a_minimal_pattern_is_compared_with_nothing(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, images=False, negative=True)
    (item, *_) = document(tmp_path)["layers"][0]["minimal_patterns"]["filters"]
    assert item["natural_pre_minimum"] is item["below_natural"] is None


def test_missing_and_broken_minimal_patterns_are_named_as_patterns_are(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, negative=True)
    problems = assemble(tmp_path).problems
    assert f"{report_fixture.HOSTILE_PATH}: 1 of 6 minimal patterns is not finite (filter 3)." in problems
    lost = "patterns of 7 of 14 filters are not computed; minimal patterns of 7 of 14 filters are not computed"
    assert f"deep: {lost}." in problems
    store = Store(tmp_path)
    store.save_failure("nn-deep-late", "the machine is tired.")
    lost = "minimal patterns of 7 of 14 filters are not computed: the machine is tired; patterns of 7 of 14 filters are"
    assert any(problem.startswith(f"deep: {lost}") for problem in assemble(tmp_path).problems)


def test_where_every_pattern_is_lost_the_minimal_ones_are_not_shown_and_that_is_said(tmp_path: Path) -> None:
    plan = report_fixture.make(tmp_path, negative=True)
    store = Store(tmp_path)
    for key in ("pp-point-early", "pp-point-late"):
        (store.folder / "pp" / f"{key}.npz").unlink()
    point = document(tmp_path)["layers"][2]
    assert point["patterns"] is None
    assert point["reason"] == (
        "patterns of 4 of 4 filters are not computed; minimal patterns are not shown without the patterns"
    )
    assert not (tmp_path / "figures" / "point" / "minimal_patterns.png").exists()
    assert read_layer(plan, store, plan.layers[2])[MINIMAL_PATTERNS] is None
    assert "inimal" not in (tmp_path / "layers" / "point.html").read_text().replace("inimal patterns are not shown", "")


@pytest.mark.parametrize("lost", ["redirected_relu", "dead", "peak", "strongest_activation", "strongest_images"])
def test_arrays_that_an_older_version_stored_count_as_missing(tmp_path: Path, lost: str) -> None:
    report_fixture.make(tmp_path, missing=False)
    store = Store(tmp_path)
    arrays, facts = store.load("pp-point-early")
    store.save("pp-point-early", {name: array for name, array in arrays.items() if name != lost}, facts)
    assert document(tmp_path)["layers"][2]["reason"] == "patterns of 2 of 4 filters are not computed"


def test_the_models_outputs_are_an_entry_with_the_names_of_its_classes(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, missing=False, negative=True, outputs=True)
    report = document(tmp_path)
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(report)
    logits = report["layers"][-1]
    assert (logits["path"], logits["status"], logits["reason"]) == ("logits", "rendered", None)
    assert logits["labels"] == ["cat <i>", "dog"]
    assert [(item["index"], item["label"]) for item in logits["patterns"]["filters"]] == [(0, "cat <i>"), (4, "dog")]
    assert [item["index"] for item in logits["minimal_patterns"]["filters"]] == [0, 4]
    assert logits["kernel_shape"] is logits["weights"] is logits["receptive_field"] is None
    assert logits["feature_maps"] == []


def test_what_is_lost_of_the_outputs_is_counted_in_classes(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, missing=False, outputs=True)
    store = Store(tmp_path)
    arrays, facts = store.load("pp-logits-early")
    store.save("pp-logits-early", {**arrays, "activation": np.full(1, np.nan, np.float32)}, facts)
    (store.folder / "pp" / "pp-logits-late.npz").unlink()
    problems = assemble(tmp_path).problems
    assert problems[-2:] == (
        "logits: patterns of 1 of 2 classes are not computed.",
        "logits: 1 of 2 patterns is not finite (class 0).",
    )


def test_chunks_that_were_finished_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    plan = report_fixture.make(tmp_path)
    straight = document(tmp_path)
    report_fixture.replan(tmp_path, plan, tasks=tuple(reversed(plan.tasks)))
    assert document(tmp_path)["layers"][0]["patterns"] == straight["layers"][0]["patterns"]


def test_a_layer_whose_patterns_are_partly_lost_says_which(report: dict) -> None:
    deep = report["layers"][1]
    assert deep["patterns"]["missing"] == [35, 40, 45, 50, 55, 60, 65]
    assert [item["index"] for item in deep["patterns"]["filters"]] == [0, 5, 10, 15, 20, 25, 30]
    assert deep["verdicts"] == {
        **{"ok": 6, "weak": 0, "silent": 1, "dead": 0, "not-finite": 0, "skipped": 0},
        "not computed": 7,
    }


def test_filters_that_no_task_was_planned_for_are_skipped_and_no_failure(tmp_path: Path) -> None:
    plan = report_fixture.make(tmp_path)
    tasks = tuple(task for task in plan.tasks if task.kind != "patterns")
    report_fixture.replan(tmp_path, plan, tasks=tasks)
    colour = document(tmp_path)["layers"][0]
    assert colour["status"] == "rendered"
    assert colour["patterns"] is None
    assert colour["verdicts"]["skipped"] == 6


def test_weight_statistics_agree_with_plain_arithmetic_and_leave_out_what_is_not_finite(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    kernel = np.arange(-80, 82, dtype=np.float32).reshape(3, 3, 3, 6)
    kernel[0, 0, 0, :2] = np.nan, np.inf
    store.save("ww-colour", {"kernel": kernel}, {})
    colour = document(tmp_path)["layers"][0]
    rest = [float(number) for number in range(-78, 82)]
    mean = sum(rest) / len(rest)
    assert colour["weights"]["minimum"] == -78
    assert colour["weights"]["maximum"] == 81
    assert colour["weights"]["mean"] == pytest.approx(mean)
    assert colour["weights"]["std"] == pytest.approx((sum((value - mean) ** 2 for value in rest) / len(rest)) ** 0.5)
    assert colour["weights"]["zero_fraction"] == pytest.approx(1 / 160)
    assert (colour["weights"]["count"], colour["weights"]["nonfinite"]) == (162, 2)
    assert sum(colour["weights"]["histogram"]["counts"]) == 160
    assert colour["weights"]["bias"] is None


def test_weights_without_a_finite_number_have_no_statistics(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    store.save("ww-colour", {"kernel": np.full((3, 3, 3, 6), np.nan, np.float32)}, {})
    weights = document(tmp_path)["layers"][0]["weights"]
    assert weights["minimum"] is weights["mean"] is weights["std"] is weights["zero_fraction"] is None


def test_scores_are_the_shortest_decimals_that_read_back_as_the_same_float32() -> None:
    assert plain(np.float32(0.1)) == 0.1
    assert plain(float(np.float32(1) / np.float32(3))) == 0.33333334
    for value in np.random.Generator(np.random.PCG64(1)).standard_normal(200).astype(np.float32):
        assert np.float32(plain(value)) == value
    assert plain(np.nan) is plain(-np.inf) is plain(None) is plain(1e300) is None


def test_what_a_rectifier_silences_is_counted_exactly_and_nothing_else_is(report: dict, tmp_path: Path) -> None:
    by_slug = {layer["slug"]: layer for layer in report["layers"]}
    assert by_slug["point"]["feature_maps"][0]["silenced_fraction"] is None
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    pre = store.load("fm-deep-cat")[0]["pre"].astype(np.float64)
    assert by_slug["deep"]["feature_maps"][0]["silenced_fraction"] == pytest.approx((pre < 0).mean())
