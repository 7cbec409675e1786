"""How files and overrides lie over one another."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondorder.configuration.loading import check_machine, load_configuration, merge, read_yaml, typed_overrides
from secondorder.errors import ConfigurationError

CONFIG = Path(__file__).resolve().parents[2] / "config"
MERGED = {
    "other keys stay": ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
    "later replaces earlier": ({"a": 1}, {"a": 2}, {"a": 2}),
    "mappings merge": ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
    "deep mappings merge": ({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"d": 3}}}, {"a": {"b": {"c": 1, "d": 3}}}),
    "lists replace": ({"a": [1, 2, 3]}, {"a": [4]}, {"a": [4]}),
    "lists of mappings replace": ({"a": [{"x": 1}]}, {"a": [{"y": 2}]}, {"a": [{"y": 2}]}),
    "null removes": ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
    "null removes a mapping": ({"a": {"x": 1}, "b": 2}, {"a": None}, {"b": 2}),
    "null removes below": ({"a": {"x": 1, "y": 2}}, {"a": {"x": None}}, {"a": {"y": 2}}),
    "null of an absent key is nothing": ({"a": 1}, {"b": None}, {"a": 1}),
    "null in a new mapping is nothing": ({}, {"a": {"x": None, "y": 1}}, {"a": {"y": 1}}),
    "a mapping replaces a value": ({"a": 1}, {"a": {"x": 2}}, {"a": {"x": 2}}),
    "a value replaces a mapping": ({"a": {"x": 2}}, {"a": 1}, {"a": 1}),
    "false and 0 are values": ({"a": True, "b": 5}, {"a": False, "b": 0}, {"a": False, "b": 0}),
}


@pytest.mark.parametrize(("base", "overlay", "expected"), MERGED.values(), ids=MERGED.keys())
def test_merge(base, overlay, expected):
    assert merge(base, overlay) == expected


def test_merge_keeps_the_order_of_the_base_and_appends():
    assert list(merge({"sgd": 1, "adam": 2}, {"new": 3, "sgd": 4})) == ["sgd", "adam", "new"]


def test_merge_changes_neither_input():
    base, overlay = {"a": {"x": 1}}, {"a": {"y": {"z": 2}}}
    merge(base, overlay)["a"]["y"]["z"] = 3
    assert (base, overlay) == ({"a": {"x": 1}}, {"a": {"y": {"z": 2}}})


KEYS = st.sampled_from("abc")
WITHOUT_NULL = st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6)
MAPPINGS = st.dictionaries(KEYS, WITHOUT_NULL, max_size=3)


@settings(deadline=None, derandomize=True, database=None)
@given(MAPPINGS, MAPPINGS, MAPPINGS)
def test_laws_of_merging_where_nothing_is_removed(first, second, third):
    """Empty is neutral, twice is once, and layers that do not meet may change places."""
    assert merge(first, {}) == merge({}, first) == first
    assert merge(merge(first, second), second) == merge(first, second)
    if merge(second, third) == merge(third, second):
        assert merge(merge(first, second), third) == merge(merge(first, third), second)


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def layers(tmp_path):
    """A configuration folder whose layers all give threads, the tier's log_every, and the defaults' seeds."""
    return write(
        tmp_path,
        defaults="seeds: 2\nthreads: 2\nlog_every: 2\nruns: {sgd: {optimizer: sgd}, adam: {optimizer: adam}}\n"
        "problems: {mnist_mlp: {batch_size: 8, budget_epochs: 1, target_metric: 0.5, runs: [sgd, adam]}}\n",
        smoke="tier: smoke\nthreads: 3\nlog_every: 3\n",
        other="tier: other\nthreads: 5\nproblems: {mnist_mlp: {runs: [adam]}}\n",
    )


@pytest.mark.parametrize(
    ("overrides", "tier", "threads", "log_every", "seeds"),
    [
        pytest.param({}, "smoke", 3, 3, 2, id="tier over defaults"),
        pytest.param({"threads": 7}, "smoke", 7, 3, 2, id="override over tier"),
        pytest.param({"tier": "other"}, "other", 5, 2, 2, id="another tier"),
        pytest.param({"tier": "mine", "based_on": "other"}, "mine", 5, 2, 2, id="new tier based on one"),
        pytest.param({"tier": "other", "based_on": "smoke"}, "other", 3, 3, 2, id="based_on names the file"),
        pytest.param({"based_on": "other"}, "other", 5, 2, 2, id="based_on alone is that tier"),
        pytest.param({"log_every": None}, "smoke", 3, 1, 2, id="null goes back to the model's default"),
        pytest.param({"tier": None, "based_on": "other", "seeds": [4]}, None, 0, 0, 0, id="tier cannot be taken away"),
    ],
)
def test_layers(layers, overrides, tier, threads, log_every, seeds):
    if tier is None:
        with pytest.raises(ConfigurationError, match=r"^tier: is missing; "):
            load_configuration(overrides, layers)
        return
    configuration = load_configuration(overrides, layers)
    values = (configuration.tier, configuration.threads, configuration.log_every, configuration.seeds)
    assert values == (tier, threads, log_every, seeds)


def test_list_of_runs_in_a_tier_replaces_that_of_the_defaults(layers):
    assert load_configuration({"tier": "other"}, layers).problems["mnist_mlp"].runs == ["adam"]


def test_overrides_are_left_as_they_were(layers):
    overrides = {"tier": "other", "problems": {"mnist_mlp": {"batch_size": 4}}}
    load_configuration(overrides, layers)
    assert overrides == {"tier": "other", "problems": {"mnist_mlp": {"batch_size": 4}}}


def test_run_can_be_taken_away():
    configuration = load_configuration({"runs": {"lbfgs": None}}, CONFIG)
    assert list(configuration.runs) == [run for run in load_configuration({}, CONFIG).runs if run != "lbfgs"]


def test_new_run_comes_last_and_keeps_the_place_of_the_others():
    configuration = load_configuration({"runs": {"mine": {"optimizer": "sgd"}}}, CONFIG)
    assert list(configuration.runs)[-1] == "mine"
    assert list(configuration.runs)[:-1] == list(load_configuration({}, CONFIG).runs)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        pytest.param({"tier": "smok"}, "tier: there is no configuration file config/<tier>.yaml for 'smok', "
                     "did you mean 'smoke'?; there are archive, paper, ", id="misspelt"),
        pytest.param({"tier": "defaults"}, "tier: there is no configuration file config/<tier>.yaml for 'defaults'; "
                     "there are archive, paper, reduced, smoke", id="the defaults are no tier"),
        pytest.param({"tier": "../config/smoke"}, "tier: there is no configuration file", id="path"),
        pytest.param({"tier": 3}, "tier: there is no configuration file config/<tier>.yaml for '3'", id="number"),
        pytest.param({"tier": ["smoke"]}, "tier: there is no configuration file", id="list"),
        pytest.param({"tier": {"smoke": 1}}, "tier: there is no configuration file", id="mapping"),
        pytest.param({"tier": None}, "tier: is missing; Name of the tier", id="null"),
        pytest.param({"tier": 0}, "tier: given 0; should be a valid string", id="zero"),
        pytest.param({"tier": ""}, "tier: given ''; a name is made of a-z, 0-9 and _", id="empty"),
        pytest.param({"tier": "Mine", "based_on": "smoke"}, "tier: given 'Mine'; a name is made of", id="bad name"),
        pytest.param({"tier": "mine", "based_on": "papr"}, "based_on: there is no configuration file "
                     "config/<tier>.yaml for 'papr', did you mean 'paper'?", id="based on nothing"),
        pytest.param({"tier": "mine", "based_on": 1}, "based_on: there is no configuration file", id="based on 1"),
        pytest.param({"tier": "mine"}, "tier: there is no configuration file", id="new tier without based_on"),
    ],
)  # fmt: skip
def test_tier_that_is_none(overrides, message):
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(overrides, CONFIG)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("- a\n- b\n", "holds list, not keys with values", id="list"),
        pytest.param("just words", "holds str, not keys with values", id="text"),
        pytest.param("", "holds NoneType, not keys with values", id="empty"),
        pytest.param("a: [1,\nb: 2", "is not YAML: ", id="open bracket"),
        pytest.param("a: b: c", "is not YAML: ", id="two colons"),
        pytest.param("{[1]: 2}", "is not YAML: ", id="list as key"),
        pytest.param("a: !!python/object/apply:os.getcwd []", "is not YAML: ", id="code"),
        pytest.param("a: 2026-13-45", "is not YAML: ", id="impossible date"),
        pytest.param(b"a: \xff\xfe", "is not YAML: ", id="not UTF-8"),
    ],
)
def test_file_that_is_no_mapping(tmp_path, text, words):
    path = tmp_path / "some.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}: {words}")
    assert len(str(caught.value).splitlines()) == 1


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(tmp_path / "some.yaml")
    assert str(caught.value) == f"{tmp_path / 'some.yaml'}: cannot be read: No such file or directory"


def test_tier_file_that_is_no_yaml_is_named(layers):
    write(layers, smoke="tier: [")
    with pytest.raises(ConfigurationError, match=r"smoke\.yaml: is not YAML: "):
        load_configuration({}, layers)


TYPED = {
    "number": ({"a": {"b": "0.9"}}, {}, {"a": {"b": 0.9}}),
    "whole number": ({"a": {"b": "5"}}, {}, {"a": {"b": 5}}),
    "truth": ({"a": {"b": "true"}}, {}, {"a": {"b": True}}),
    "null": ({"a": {"b": "null"}}, {}, {"a": {"b": None}}),
    "list": ({"a": {"b": "[1, x]"}}, {}, {"a": {"b": [1, "x"]}}),
    "words": ({"a": {"b": "just words"}}, {}, {"a": {"b": "just words"}}),
    "no YAML": ({"a": {"b": "[1,"}}, {}, {"a": {"b": "[1,"}}),
    "impossible date": ({"a": {"b": "2026-13-45"}}, {}, {"a": {"b": "2026-13-45"}}),
    "what has a type already": ({"a": {"b": 5, "c": None, "d": True}}, {}, {"a": {"b": 5, "c": None, "d": True}}),
    "items of a list": ({"a": ["1", "x"]}, {}, {"a": [1, "x"]}),
    "text in a file stays text": ({"a": {"b": "0.9"}}, {"a": {"b": "0.9"}}, {"a": {"b": "0.9"}}),
    "list in a file stays": ({"a": ["1"]}, {"a": ["1"]}, {"a": ["1"]}),
    "command line over a file": ({"a": {"b": "8", "c": "1"}}, {"a": {"b": "9", "c": "1"}}, {"a": {"b": 8, "c": "1"}}),
    "mapping over a value of a file": ({"a": {"b": "1"}}, {"a": "x"}, {"a": {"b": 1}}),
}


@pytest.mark.parametrize(("values", "files", "expected"), TYPED.values(), ids=TYPED.keys())
def test_texts_of_the_command_line_get_their_types(values, files, expected):
    assert typed_overrides(values, files) == expected


def tiers(folder, **files):
    """A folder of configuration with the project's defaults and smoke tier, and these tiers."""
    for name in ("defaults.yaml", "smoke.yaml"):
        (folder / name).write_text((CONFIG / name).read_text(encoding="utf-8"), encoding="utf-8")
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def test_tier_is_based_on_another_in_its_own_file(tmp_path):
    folder = tiers(tmp_path, tiny="{tier: tiny, based_on: smoke, seeds: 1}", tinier="{tier: tinier, based_on: tiny}")
    configuration = load_configuration({"tier": "tinier"}, folder)
    assert (configuration.tier, configuration.seeds) == ("tinier", 1)
    assert set(configuration.problems) == set(load_configuration({}, folder).problems)


def test_tier_that_is_based_on_itself_is_refused(tmp_path):
    folder = tiers(tmp_path, one="{tier: one, based_on: two}", two="{tier: two, based_on: one}")
    with pytest.raises(ConfigurationError, match="based_on: 'one' is in the end based on itself"):
        load_configuration({"tier": "one"}, folder)


def test_missing_folder_of_tiers_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"there is no folder .*nowhere of tiers"):
        load_configuration({}, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        pytest.param({"data": {"folder": "nowhere"}}, r"data\.folder: there is no folder 'nowhere'", id="folder"),
        pytest.param({"device": "cuda"}, r"device: .* PyTorch sees no CUDA device", id="device"),
    ],
)
def test_what_this_machine_cannot_do_is_refused(monkeypatch, overrides, message):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigurationError, match=message):
        check_machine(load_configuration(overrides, CONFIG))
