"""What holds of every optimizer there is, found by name: settings, progress, resuming, the schedule."""

import copy
import dataclasses
import io

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional
from torch.nn.utils import parameters_to_vector

from secondorder import optim
from secondorder.configuration.declared import settings_model
from secondorder.errors import ConfigurationError, InputError
from secondorder.optim import protocol
from secondorder.settings import settings_from
from secondorder.training.objective import Objective
from secondorder.training.work import Work

ALL = pytest.mark.parametrize("name", optim.available())
SCALED = pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
STATEFUL = {
    "momentum": ("sgd", {"momentum": 0.9}),
    "nesterov": ("sgd", {"momentum": 0.9, "nesterov": True}),
    "adam": ("adam", {}),
    "rmsprop": ("rmsprop", {"momentum": 0.9}),
    "lbfgs": ("lbfgs", {"iterations": 2}),
    "exact newton": ("exact_newton", {"momentum": 0.5, "adapt_damping": True, "learning_rate": 0.05}),
    "exact newton per sample": ("exact_newton", {"variant": "per_sample", "momentum": 0.5, "damping": 1.0}),
    "exact newton layerwise": ("exact_newton", {"variant": "layerwise", "momentum": 0.5, "learning_rate": 0.1}),
    "exact newton of the joint Hessian": (
        "exact_newton",
        {"variant": "joint_hessian", "largest_rank": 1000, "adapt_damping": True, "learning_rate": 0.1},
    ),
    "newton-krylov": ("newton_krylov", {"initial_step": 0.05, "krylov_steps": 3}),
    "kfac": ("kfac", {"inverse_period": 3, "kl_clip": 0.01}),
    "ekfac": ("ekfac", {"inverse_period": 3, "factor_period": 2, "kl_clip": 0.01}),
    "newton-krylov in a trust region": (
        "newton_krylov",
        {"control": "trust_region", "initial_radius": 0.05, "largest_radius": 0.1, "krylov_steps": 3},
    ),
    "adahessian": ("adahessian", {"learning_rate": 0.01, "hessian_period": 2}),
    "sophia": ("sophia", {"learning_rate": 0.01, "hessian_period": 3}),
    "shampoo": ("shampoo", {"epsilon": 0.01, "root_period": 4}),
    "soap": ("soap", {"learning_rate": 0.01, "basis_period": 3}),
    "stochastic l-bfgs": ("stochastic_lbfgs", {"history": 3}),
    "low-rank newton": ("low_rank_newton", {"rank": 2, "krylov_steps": 3, "refresh": 4}),
    "fosi": ("fosi", {"largest": 1, "smallest": 1, "krylov_steps": 4, "refresh": 3, "warm_up": 2}),
    "intermittent": ("intermittent", {"every": 3}),
    "hessian-free": ("hessian_free", {"krylov_steps": 3, "learning_rate": 0.5}),
}
NO_PENALTY = [{"variant": "per_sample"}, {"variant": "layerwise"}, {"variant": "joint_hessian", "largest_rank": 1000}]
VARIANTS = {**{name: (name, {}) for name in optim.available()}, **STATEFUL}
SAMPLES = 16


class Regression:
    """A perceptron on noisy targets, an optimizer over it, and mini-batches that depend on the step alone."""

    def __init__(self, name, dtype=torch.float32, **settings):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 2)).to(dtype)
        module = optim.load(name)
        self.optimizer = module.build(list(self.model.parameters()), module.Settings(**settings))
        self.work = Work(SAMPLES)
        self.penalty = 0.0 if any(refusing.items() <= settings.items() for refusing in NO_PENALTY) else 1e-4
        self.dtype = dtype

    def objective(self, step):
        generator = torch.Generator().manual_seed(step)
        inputs = torch.randn(SAMPLES, 3, generator=generator)
        targets = torch.stack([inputs.sum(1).sin(), inputs[:, 0] * inputs[:, 1]], dim=1)
        tensors = inputs.to(self.dtype), targets.to(self.dtype)
        return Objective(self.model, functional.mse_loss, *tensors, self.work, self.penalty)

    def steps(self, numbers, factor=1.0):
        return [self.optimizer.step(self.objective(number), factor) for number in numbers]

    def parameters(self):
        return parameters_to_vector(self.model.parameters()).detach().clone()

    def loss(self):
        self.model.eval()
        generator = torch.Generator().manual_seed(1000)
        inputs = torch.randn(500, 3, generator=generator)
        targets = torch.stack([inputs.sum(1).sin(), inputs[:, 0] * inputs[:, 1]], dim=1)
        with torch.no_grad():
            loss = functional.mse_loss(self.model(inputs.to(self.dtype)), targets.to(self.dtype))
        self.model.train()
        return float(loss)

    def state_dict(self):
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
        }

    def load_state_dict(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])


def test_the_optimizers_of_torch_are_found():
    assert {"adam", "lbfgs", "rmsprop", "sgd"} <= set(optim.available())


@ALL
def test_settings_are_a_frozen_dataclass_with_defaults_and_descriptions(name):
    declared = optim.load(name).Settings
    assert declared.__dataclass_params__.frozen
    declared()
    assert all(field.metadata["description"].strip() for field in dataclasses.fields(declared))


@ALL
def test_the_default_settings_satisfy_their_own_bounds(name):
    settings_model(optim.load(name).Settings).model_validate({})
    settings_model(optim.load(name).Settings).model_validate(dataclasses.asdict(optim.load(name).Settings()))


def values_out_of_bounds():
    for name in optim.available():
        for field in dataclasses.fields(optim.load(name).Settings):
            bounds = field.metadata["bounds"]
            outside = {"gt": lambda bound: bound, "ge": lambda bound: bound - 1}
            outside |= {"lt": lambda bound: bound, "le": lambda bound: bound + 1}
            for kind, bound in bounds.items():
                yield pytest.param(name, field.name, outside[kind](bound), id=f"{name}-{field.name}-{kind}")


@pytest.mark.parametrize(("name", "setting", "value"), list(values_out_of_bounds()))
def test_a_setting_out_of_its_bounds_is_refused(name, setting, value):
    with pytest.raises(ValidationError, match=setting):
        settings_model(optim.load(name).Settings).model_validate({setting: value})


@ALL
def test_an_unknown_setting_is_refused_with_the_known_ones(name):
    first = dataclasses.fields(optim.load(name).Settings)[0].name
    with pytest.raises(ConfigurationError, match=rf"'lerning_rate' is not a setting of .*{name}; it has {first}"):
        settings_from(optim.load(name).Settings, {"lerning_rate": 0.1})


def test_nesterov_needs_momentum():
    with pytest.raises(ConfigurationError, match="momentum is 0"):
        optim.load("sgd").Settings(nesterov=True)


@pytest.mark.parametrize("name", ["sdg", "protocol", "torch_adapter", "", "sgd.Settings"])
def test_an_unknown_optimizer_is_refused_with_the_known_ones(name):
    with pytest.raises(ConfigurationError, match=r"there are .*rmsprop, .*sgd"):
        optim.load(name)


@ALL
def test_it_has_what_training_asks_of_an_optimizer(name):
    optimizer = Regression(name).optimizer
    asked = [member for member in vars(protocol.Optimizer) if not member.startswith("_")]
    assert sorted(asked) == ["load_state_dict", "state_dict", "step"]
    assert all(callable(getattr(optimizer, member)) for member in asked)


@pytest.mark.parametrize(("name", "settings"), VARIANTS.values(), ids=VARIANTS)
def test_it_reduces_the_loss_of_a_regression(name, settings):
    regression = Regression(name, **settings)
    before = regression.loss()
    regression.steps(range(150))
    assert regression.loss() < 0.9 * before


@ALL
def test_the_reported_loss_is_the_objective_before_the_step(name):
    regression = Regression(name, torch.float64)
    regression.steps(range(3))
    state = copy.deepcopy(regression.state_dict())
    expected = regression.objective(3).loss()
    regression.load_state_dict(state)
    (result,) = regression.steps([3])
    torch.testing.assert_close(result.loss, expected, rtol=1e-12, atol=0)
    assert not result.loss.requires_grad


@ALL
def test_diagnostics_are_single_numbers(name):
    (result,) = Regression(name).steps([0])
    assert all(torch.as_tensor(value).ndim == 0 for value in result.diagnostics.values())


@ALL
def test_a_step_is_paid_for(name):
    regression = Regression(name)
    spent = []
    for step in range(3):
        regression.steps([step])
        spent.append(regression.work.gradient_equivalents)
    assert 0 < spent[0] < spent[1] < spent[2]


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)


@pytest.mark.parametrize("copied", [copy.deepcopy, through_a_file])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("after", [0, 1, 5])
@pytest.mark.parametrize(("name", "settings"), VARIANTS.values(), ids=VARIANTS)
def test_it_resumes_bitwise(name, settings, after, dtype, copied):
    uninterrupted = Regression(name, dtype, **settings)
    losses = [float(result.loss) for result in uninterrupted.steps(range(10))]
    first = Regression(name, dtype, **settings)
    first.steps(range(after))
    state = copied(first.state_dict())
    second = Regression(name, dtype, **settings)
    torch.manual_seed(77)
    second.load_state_dict(state)
    resumed_losses = [float(result.loss) for result in second.steps(range(after, 10))]
    assert resumed_losses == losses[after:]
    assert torch.equal(second.parameters(), uninterrupted.parameters())


def tensors_in(state):
    if isinstance(state, torch.Tensor):
        return [state]
    values = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else []
    return [tensor for value in values for tensor in tensors_in(value)]


@pytest.mark.parametrize(("name", "settings"), STATEFUL.values(), ids=STATEFUL)
def test_its_state_goes_to_the_device_of_the_parameters(name, settings):
    regression = Regression(name, **settings)
    regression.steps(range(4))
    elsewhere = regression.model.to("meta")
    module = optim.load(name)
    moved = module.build(list(elsewhere.parameters()), module.Settings(**settings))
    moved.load_state_dict(through_a_file(regression.optimizer.state_dict()))
    # PyTorch keeps its counters of steps, single numbers, where they are read.
    assert {tensor.device.type for tensor in tensors_in(moved.state_dict()) if tensor.ndim} <= {"meta"}


@pytest.mark.parametrize(("name", "settings"), STATEFUL.values(), ids=STATEFUL)
def test_without_its_state_it_goes_elsewhere(name, settings):
    uninterrupted = Regression(name, **settings)
    uninterrupted.steps(range(10))
    first = Regression(name, **settings)
    first.steps(range(5))
    second = Regression(name, **settings)
    second.load_state_dict({**first.state_dict(), "optimizer": second.optimizer.state_dict()})
    second.steps(range(5, 10))
    assert not torch.equal(second.parameters(), uninterrupted.parameters())


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}], ids=["plain", "momentum"])
def test_the_learning_rate_is_no_part_of_the_state(settings):
    slow, fast = Regression("sgd", learning_rate=0.01, **settings), Regression("sgd", learning_rate=0.02, **settings)
    slow.steps(range(3), factor=0.5)
    fast.load_state_dict(copy.deepcopy(slow.state_dict()))
    reference = Regression("sgd", learning_rate=0.01, **settings)
    reference.load_state_dict(copy.deepcopy(slow.state_dict()))
    random_state, start = slow.state_dict()["random"], slow.parameters()
    moves = []
    for regression in (reference, fast):
        torch.set_rng_state(random_state)
        regression.steps([3])
        moves.append(regression.parameters() - start)
    torch.testing.assert_close(moves[1], 2 * moves[0], rtol=1e-3, atol=1e-7)


# The schedule


@SCALED
@pytest.mark.parametrize("after", [0, 3])
def test_a_factor_of_zero_leaves_the_parameters_alone(name, after):
    regression = Regression(name)
    regression.steps(range(after))
    before = regression.parameters()
    regression.steps([after], factor=0.0)
    assert torch.equal(regression.parameters(), before)
    regression.steps([after + 1], factor=1e-2)
    assert not torch.equal(regression.parameters(), before)


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "lbfgs"])
def test_a_factor_scales_the_configured_learning_rate_and_does_not_compound(name):
    scheduled, halved = Regression(name, learning_rate=0.02), Regression(name, learning_rate=0.01)
    start = scheduled.parameters()
    for regression in (scheduled, halved):
        torch.manual_seed(1)
        regression.steps(range(4), factor=0.5 if regression is scheduled else 1.0)
    assert torch.equal(scheduled.parameters(), halved.parameters())
    assert not torch.equal(scheduled.parameters(), start)


FLAT = ["exact_newton", "fosi", "hessian_free", "low_rank_newton", "newton_krylov", "stochastic_lbfgs"]
ORDERED = [*FLAT, "adahessian", "sophia"]


@pytest.mark.parametrize("name", ORDERED)
def test_parameters_in_another_order_are_refused(name):
    regression = Regression(name)
    module = optim.load(name)
    regression.optimizer = module.build(list(regression.model.parameters())[::-1], module.Settings())
    with pytest.raises(InputError, match=r"in their order; build it over list\(model.parameters\(\)\)"):
        regression.steps([0])


@pytest.mark.parametrize("name", FLAT)
def test_nothing_to_optimize_is_refused(name):
    module = optim.load(name)
    frozen = nn.Linear(2, 1).requires_grad_(False)
    with pytest.raises(InputError, match=r"no parameter requires a gradient.*set requires_grad of some"):
        module.build(frozen.parameters(), module.Settings())


LAYOUTS = [(name, {}) for name in FLAT]
LAYOUTS += [("exact_newton", {"variant": "joint_gauss_newton", "adapt_damping": True, "weight_decay": 0.1})]


@pytest.mark.parametrize(("name", "settings"), LAYOUTS)
def test_layout_of_memory_changes_no_step(name, settings):
    moved = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2)).double()
        inputs, targets = torch.randn(8, 2, 4, 4, dtype=torch.float64), torch.randn(8, 2, dtype=torch.float64)
        model = model.to(memory_format=layout)
        module = optim.load(name)
        optimizer = module.build(model.parameters(), module.Settings(**settings))
        penalty = 0.1 if settings else 0.0
        for _ in range(2):
            optimizer.step(Objective(model, functional.mse_loss, inputs, targets, Work(8), penalty), 1.0)
        moved.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.allclose(*moved, rtol=1e-9, atol=1e-12)


@ALL
def test_a_frozen_parameter_with_an_old_gradient_stays(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    inputs, targets = torch.randn(8, 3), torch.randn(8, 2)
    functional.mse_loss(model(inputs), targets).backward()
    model[0].weight.requires_grad_(False)
    kept = model[0].weight.clone()
    module = optim.load(name)
    optimizer = module.build(model.parameters(), module.Settings())
    for _ in range(2):
        optimizer.step(Objective(model, functional.mse_loss, inputs, targets, Work(8)), 1.0)
    assert torch.equal(model[0].weight, kept)
