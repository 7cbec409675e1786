"""What is wrong with a configuration is said in one line, which begins with the key."""

import math
from pathlib import Path

import pytest

from secondorder.configuration.loading import load_configuration, read_yaml
from secondorder.errors import ConfigurationError

CONFIG = Path(__file__).resolve().parents[2] / "config"


def run(**section):
    """Overrides with another section for the run ``sgd``."""
    return {"runs": {"sgd": section}}


def setting(name, **values):
    return {"runs": {name: {"settings": values}}}


def problem(**section):
    return {"problems": {"mnist_mlp": section}}


def override(name, **section):
    return problem(overrides={name: section})


def search(name, **ranges):
    return {"runs": {name: {"search": ranges}}}


RANGE = {"low": 0.1, "high": 0.9}
ALL_RUNS = ["mine", *read_yaml(CONFIG / "defaults.yaml")["runs"]]
NAME_RULE = "a name is made of a-z, 0-9 and _ and begins with a letter"
LINES = {
    # unknown keys
    "top level": ({"sede": 3}, "sede: unknown key, did you mean 'seeds'?; known here: tier, based_on, archive, seeds,"),
    "top level, nothing near": ({"zzz": 3}, "zzz: unknown key; known here: tier, based_on, archive, seeds,"),
    "tier of a reserved name": ({"tier": "data", "based_on": "smoke"}, "tier: given 'data'; is where prepared data"),
    "setting of an override that is not trained": (
        problem(runs=["adam"], overrides={"sgd": {"settings": {"momentom": 0.9}}}),
        "problems.mnist_mlp.overrides.sgd.settings.momentom: unknown key, did you mean 'momentum'?",
    ),
    "data": ({"data": {"path": "x"}}, "data.path: unknown key; known here: folder, allow_unverified"),
    "statistics": (
        {"statistics": {"confidance": 0.9}},
        "statistics.confidance: unknown key, did you mean 'confidence'?; known here: confidence, resamples",
    ),
    "problem": (
        problem(budget=3),
        "problems.mnist_mlp.budget: unknown key, did you mean 'budget_epochs'?; known here: module, dataset,",
    ),
    "run": (run(batchsize=3), "runs.sgd.batchsize: unknown key, did you mean 'batch_size'?; known here: optimizer,"),
    "run schedule": (
        run(schedule={"kin": "step"}),
        "runs.sgd.schedule.kin: unknown key, did you mean 'kind'?; known here: kind, milestones, gamma",
    ),
    "optimizer setting": (
        setting("sgd", learning_rat=0.1),
        "runs.sgd.settings.learning_rat: unknown key, did you mean 'learning_rate'?; "
        "known here: learning_rate, momentum, nesterov, weight_decay",
    ),
    "setting of another optimizer": (
        setting("sgd", beta1=0.9),
        "runs.sgd.settings.beta1: unknown key; known here: learning_rate, momentum,",
    ),
    "problem setting": (
        problem(settings={"activatio": "relu"}),
        "problems.mnist_mlp.settings.activatio: unknown key, did you mean 'activation'?; known here: penalty",
    ),
    "problem without settings": (
        {"problems": {"mnist_lenet5": {"settings": {"zzz": 1}}}},
        "problems.mnist_lenet5.settings.zzz: unknown key; known here: ",
    ),
    "override": (
        override("sgd", schedul={}),
        "problems.mnist_mlp.overrides.sgd.schedul: unknown key, did you mean 'schedule'?; known here: batch_size,",
    ),
    "override setting": (
        override("sgd", settings={"momentun": 0.9}),
        "problems.mnist_mlp.overrides.sgd.settings.momentun: unknown key, did you mean 'momentum'?; known here:",
    ),
    "override schedule": (
        override("sgd", schedule={"gama": 1}),
        "problems.mnist_mlp.overrides.sgd.schedule.gama: unknown key, did you mean 'gamma'?; known here: kind,",
    ),
    "figure": (
        {"figures": {"training_curves": {"read": []}}},
        "figures.training_curves.read: unknown key, did you mean 'reads'?; known here: reads, per_problem",
    ),
    "key that is named like a type": ({"float": 3}, "float: unknown key; known here: tier,"),
    "run that is named like a type": (
        {"runs": {"constrained_int": {"optimizer": "sgd", "batchsize": 3}}},
        "runs.constrained_int.batchsize: unknown key, did you mean 'batch_size'?",
    ),
    "key with a line break": ({"a\nb": 3}, "'a\\nb': unknown key; known here: tier,"),
    "empty key": ({"": 3}, "'': unknown key; known here: tier,"),
    "number as key": ({1: 3}, "1: "),
    "number as run": ({"runs": {1: {"optimizer": "sgd"}}}, "runs.1: "),
    "two complaints": ({"sede": 3, "threads": 0}, " (and 1 more)"),
    # types
    "text number": (
        setting("sgd", learning_rate="1e-3"),
        "runs.sgd.settings.learning_rate: given the text '1e-3'; write it as a number: 0.001 "
        "(YAML needs a dot in 1.0e-3)",
    ),
    "text number in an override": (
        override("sgd", settings={"learning_rate": "1e-3"}),
        "problems.mnist_mlp.overrides.sgd.settings.learning_rate: given the text '1e-3'; write it as a number: 0.001",
    ),
    "text number in a section": (
        {"statistics": {"confidence": "9e-1"}},
        "statistics.confidence: given the text '9e-1'; write it as a number: 0.9",
    ),
    "text whole number": ({"threads": "4"}, "threads: given the text '4'; write it as a number: 4"),
    "text for a number": (
        setting("sgd", learning_rate="fast"),
        "runs.sgd.settings.learning_rate: given 'fast'; should be a valid number",
    ),
    "true for a number": (
        setting("sgd", learning_rate=True),
        "runs.sgd.settings.learning_rate: given True; should be a valid number",
    ),
    "number for true": (setting("sgd", nesterov=1), "runs.sgd.settings.nesterov: given 1; should be a valid boolean"),
    "fraction of a thread": ({"threads": 1.5}, "threads: given 1.5; should be a valid integer"),
    "whole float": (setting("lbfgs", history=3.0), "runs.lbfgs.settings.history: given 3.0; should be a valid integer"),
    "list for a setting": (
        setting("sgd", learning_rate=[0.1]),
        "runs.sgd.settings.learning_rate: given [0.1]; should be true or false, a number or text",
    ),
    "number for text": (run(label=3), "runs.sgd.label: given 3; should be a valid string"),
    "text for a section": ({"data": "here"}, "data: given 'here'; should be a valid mapping"),
    "list for runs": ({"runs": ["sgd"]}, "runs: given ['sgd']; should be a valid mapping"),
    "text for a list": (
        {"figures": {"training_curves": {"reads": "curves"}}},
        "figures.training_curves.reads: given 'curves'; should be a valid list",
    ),
    "item of a list": (
        {"tables": {"final_metric": {"reads": ["seeds", 3]}}},
        "tables.final_metric.reads.1: given 3; should be a valid string",
    ),
    "choice": ({"device": "gpu"}, "device: given 'gpu'; should be 'auto', 'cpu' or 'cuda'"),
    "choice of a schedule": (
        run(schedule={"kind": "linear"}),
        "runs.sgd.schedule.kind: given 'linear'; should be 'constant', 'cosine' or 'step'",
    ),
    "choice of a setting": (
        problem(settings={"activation": "relo"}),
        "problems.mnist_mlp.settings.activation: given 'relo'; should be 'relu', 'tanh', 'gelu' or 'softplus'",
    ),
    # bounds
    "zero threads": ({"threads": 0}, "threads: given 0; should be greater than or equal to 1"),
    "certainty": ({"statistics": {"confidence": 1.0}}, "statistics.confidence: given 1.0; should be less than 1"),
    "few resamples": ({"statistics": {"resamples": 9}}, "statistics.resamples: given 9; should be greater than or"),
    "no learning rate": (
        setting("sgd", learning_rate=0),
        "runs.sgd.settings.learning_rate: given 0; should be greater than 0",
    ),
    "momentum of 1": (setting("sgd", momentum=1.0), "runs.sgd.settings.momentum: given 1.0; should be less than 1"),
    "in an override": (
        override("adam", settings={"beta1": 1.0}),
        "problems.mnist_mlp.overrides.adam.settings.beta1: given 1.0; should be less than 1",
    ),
    "negative budget": (problem(budget_epochs=-1), "problems.mnist_mlp.budget_epochs: given -1; should be greater"),
    "endless budget": (
        problem(budget_epochs=math.inf),
        "problems.mnist_mlp.budget_epochs: given inf; should be a finite number",
    ),
    "infinite setting": (
        setting("sgd", learning_rate=math.inf),
        "runs.sgd.settings.learning_rate: given inf; should be a finite number",
    ),
    "no number": (
        setting("adam", epsilon=math.nan),
        "runs.adam.settings.epsilon: given nan; should be a finite number",
    ),
    "perfect target": (
        problem(target_metric=1.0),
        "problems.mnist_mlp.target_metric: given 1; the problem's metric is its accuracy; give a value between 0 and 1",
    ),
    "target in percent": (problem(target_metric=90), "problems.mnist_mlp.target_metric: given 90; the problem"),
    "target of no error": (
        {"problems": {"mnist_autoencoder": {"batch_size": 8, "budget_epochs": 1, "target_metric": 0.0}}},
        "problems.mnist_autoencoder.target_metric: given 0; the problem's metric is its squared error per image; give "
        "a value above 0",
    ),
    "milestone": (run(schedule={"milestones": [0.5, 2.0]}), "runs.sgd.schedule.milestones.1: given 2.0; should be"),
    "no reads": (
        {"tables": {"final_metric": {"reads": []}}},
        "tables.final_metric.reads: given []; list should have at least",
    ),
    "no chosen runs": (problem(runs=[]), "problems.mnist_mlp.runs: given []; list should have at least 1 item"),
    # seeds
    "no seeds": ({"seeds": 0}, "seeds: given 0; a number of seeds must be between 1 and 1000"),
    "too many seeds": ({"seeds": 1001}, "seeds: given 1001; a number of seeds must be between 1 and 1000"),
    "empty seeds": ({"seeds": []}, "seeds: given []; a list of seeds must hold different whole numbers"),
    "seed twice": ({"seeds": [1, 1]}, "seeds: given [1, 1]; a list of seeds must hold different whole numbers"),
    "negative seed": ({"seeds": [-1]}, "seeds: given [-1]; a list of seeds must hold different whole numbers from 0"),
    "seed beyond 32 bits": (
        {"seeds": [2**31]},
        "seeds: given [2147483648]; a list of seeds must hold different whole numbers from 0 to 2147483647",
    ),
    "text seed": ({"seeds": "5"}, "seeds: given '5'; must be a number of seeds or a list of whole numbers"),
    "float seed": ({"seeds": [1.0]}, "seeds: given [1.0]; must be a number of seeds or a list of whole numbers"),
    "true seed": ({"seeds": True}, "seeds: given True; must be a number of seeds or a list of whole numbers"),
    # names
    "optimizer": (
        run(optimizer="sdg"),
        "runs.sgd.optimizer: there is no optimizer 'sdg', did you mean 'sgd'?; there are adahessian, ",
    ),
    "module that optimizers share": (run(optimizer="protocol"), "runs.sgd.optimizer: there is no optimizer 'protocol'"),
    "problem name": (
        {"problems": {"mnist_mpl": {"batch_size": 1, "budget_epochs": 1, "target_metric": 0.5}}},
        "problems.mnist_mpl: there is no problem 'mnist_mpl', did you mean 'mnist_mlp'?; there are cifar10_3c3d, ",
    ),
    "problem module": (
        problem(module="mnist_mpl"),
        "problems.mnist_mlp: there is no problem 'mnist_mpl', did you mean 'mnist_mlp'?; there are cifar10_3c3d, ",
    ),
    "dataset": (
        problem(dataset="mnits"),
        "problems.mnist_mlp.dataset: there is no dataset for it called 'mnits', did you mean 'mnist'?; "
        "there are mnist, mnist_5k",
    ),
    "dataset of another problem": (
        problem(dataset="cifar10"),
        "problems.mnist_mlp.dataset: there is no dataset for it called 'cifar10'; there are mnist, mnist_5k",
    ),
    "chosen run": (
        problem(runs=["sgd", "adm"]),
        "problems.mnist_mlp.runs: there is no run 'adm', did you mean 'adam'?; there are sgd, nesterov,",
    ),
    "left-out run": (
        problem(without=["adm"]),
        "problems.mnist_mlp.without: there is no run 'adm', did you mean 'adam'?; there are sgd, nesterov,",
    ),
    "chosen and left-out runs": (
        problem(runs=["sgd"], without=["adam"]),
        "problems.mnist_mlp.without: stands beside `runs`; take one of the two away with null",
    ),
    "all runs left out": (
        {"runs": {"mine": {"optimizer": "sgd"}}, "curvature": {"runs": None}, **problem(without=ALL_RUNS)},
        "problems.mnist_mlp.without: names all runs; leave at least one",
    ),
    "overridden run": (
        override("adm"),
        "problems.mnist_mlp.overrides: there is no run 'adm', did you mean 'adam'?; there are sgd, nesterov,",
    ),
    "figure name": (
        {"figures": {"training_curve": {"reads": ["curves"]}}},
        "figures.training_curve: there is no figure 'training_curve', did you mean 'training_curves'?; there are ",
    ),
    "module that figures share": ({"figures": {"style": {"reads": ["curves"]}}}, "figures.style: there is no figure"),
    "table name": (
        {"tables": {"final_metrik": {"reads": ["final_metric"]}}},
        "tables.final_metrik: there is no table 'final_metrik', did you mean 'final_metric'?; there are app",
    ),
    "aggregated table of a figure": (
        {"figures": {"training_curves": {"reads": ["curve"]}}},
        "figures.training_curves.reads: there is no aggregated table 'curve', did you mean 'curves'?; "
        "there are curves, final_metric, outcomes, seeds, step_cost, time_to_target",
    ),
    "aggregated table of a table": (
        {"tables": {"final_metric": {"reads": ["zzz"]}}},
        "tables.final_metric.reads: there is no aggregated table 'zzz'; there are curves, final_metric,",
    ),
    "bad run name": ({"runs": {"My-Run": {"optimizer": "sgd"}}}, f"runs.My-Run: given 'My-Run'; {NAME_RULE}"),
    "bad problem name": ({"problems": {"2nd": {}}}, f"problems.2nd: given '2nd'; {NAME_RULE}"),
    "run name with a path": ({"runs": {"a/b": {"optimizer": "sgd"}}}, f"runs.a/b: given 'a/b'; {NAME_RULE}"),
    "run name with a line break": ({"runs": {"a\n": {"optimizer": "sgd"}}}, f"runs.'a\\n': given 'a\\n'; {NAME_RULE}"),
    "bad optimizer name": (run(optimizer="SGD"), f"runs.sgd.optimizer: given 'SGD'; {NAME_RULE}"),
    # what is searched
    "searched setting": (
        search("sgd", learning_rat=RANGE),
        "runs.sgd.search.learning_rat: unknown key, did you mean 'learning_rate'?",
    ),
    "searched switch": (
        search("sgd", nesterov=RANGE),
        "runs.sgd.search.nesterov: is no number, and only numbers are searched; take it out of `search`",
    ),
    "range without an end": (
        search("sgd", momentum={"low": 0.1}),
        "runs.sgd.search.momentum.high: is missing; Largest value.",
    ),
    "scale": (
        search("sgd", momentum={**RANGE, "scale": "logarithmic"}),
        "runs.sgd.search.momentum.scale: given 'logarithmic'; should be 'log' or 'linear'",
    ),
    "range upside down": (
        search("adam", learning_rate={"low": 1.0, "high": 0.1}),
        "runs.adam.search.learning_rate: low is 1 and high 0.1; give a low below high",
    ),
    "range of one value": (
        search("adam", learning_rate={"low": 0.1, "high": 0.1}),
        "runs.adam.search.learning_rate: low is 0.1 and high 0.1; give a low below high",
    ),
    "log scale from 0": (
        search("adam", beta1={"low": 0.0, "high": 0.9}),
        "runs.adam.search.beta1: low is 0; a log scale needs one above 0, or give scale: linear",
    ),
    "range below the setting's bounds": (
        search("adam", learning_rate={"low": 0.0, "high": 0.9, "scale": "linear"}),
        "runs.adam.search.learning_rate: given 0.0; should be greater than 0",
    ),
    "range above the setting's bounds": (
        search("adam", beta1={"low": 0.5, "high": 1.0}),
        "runs.adam.search.beta1: given 1.0; should be less than 1",
    ),
    "range of whole numbers with a broken end": (
        search("lbfgs", history={"low": 1, "high": 10.5}),
        "runs.lbfgs.search.history: given 10.5; should be a valid integer",
    ),
    "no trials": ({"tuning": {"trials": 0}}, "tuning.trials: given 0; should be greater than or equal to 1"),
    "seed of the trials among the seeds": (
        {"tuning": {"training_seed": 2}},
        "tuning.training_seed: given 2, one of `seeds`; give another, so that what is chosen with it is measured on",
    ),
    # what is missing
    "optimizer missing": ({"runs": {"mine": {}}}, "runs.mine.optimizer: is missing; Module under `secondorder.optim`."),
    "target missing": (
        problem(target_metric=None),
        "problems.mnist_mlp.target_metric: is missing; Value of the problem's metric",
    ),
    "runs missing": ({"runs": None}, "runs: is missing; All runs by name"),
    "seeds missing": ({"seeds": None}, "seeds: is missing; Number of seeds"),
    # what does not fit together
    "batch larger than the training set": (
        run(batch_size=3501),
        "problems.mnist_mlp: run 'sgd' has batches of 3501; mnist_5k has 3500 training images; give a smaller "
        "batch_size",
    ),
    "unit batch larger than the training set": (
        problem(batch_size=3501),
        "problems.mnist_mlp: run 'sgd' has batches of 3501; mnist_5k has 3500 training images",
    ),
    "override with a batch larger than the training set": (
        override("adam", batch_size=4000),
        "problems.mnist_mlp: run 'adam' has batches of 4000; mnist_5k has 3500 training images",
    ),
    "nesterov without momentum": (
        setting("sgd", nesterov=True),
        "runs.sgd.settings: nesterov is true and momentum is 0; give a momentum above 0",
    ),
    "nesterov without momentum by an override": (
        override("nesterov", settings={"momentum": 0.0}),
        "problems.mnist_mlp.overrides.nesterov.settings: nesterov is true and momentum is 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("overrides", "line"), LINES.values(), ids=LINES.keys())
def test_bad_input(overrides, line):
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(overrides, CONFIG)
    message = str(caught.value)
    assert message.endswith(line) if line.startswith(" ") else message.startswith(line)
    assert len(message.splitlines()) == 1


GOOD = {
    "whole number for a number": (setting("adam", beta1=0), lambda c: c.runs["adam"].settings["beta1"], 0),
    "batch as large as the training set": (run(batch_size=3500), lambda c: c.runs["sgd"].batch_size, 3500),
    "largest seed": ({"seeds": [2**31 - 1]}, lambda c: c.seed_list, [2**31 - 1]),
    "run named like a type": ({"runs": {"float": {"optimizer": "sgd"}}}, lambda c: c.runs["float"].optimizer, "sgd"),
    "override stays when its run is not among those trained": (
        problem(runs=["adam"], overrides={"sgd": {"batch_size": 16}}),
        lambda c: c.problems["mnist_mlp"].runs,
        ["adam"],
    ),
    "nesterov with momentum": (
        setting("sgd", nesterov=True, momentum=0.1),
        lambda c: c.runs["sgd"].settings["nesterov"],
        True,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("overrides", "read", "value"), GOOD.values(), ids=GOOD.keys())
def test_good_input_beside_the_bad(overrides, read, value):
    assert read(load_configuration(overrides, CONFIG)) == value
