"""The cost of products is measured at every size, and their floor is counted right."""

import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from secondorder.curvature.hessian_vector_products import METHODS, HessianVectorProducts
from secondorder.validation.measuring import in_a_process, peak_memory_of, spread
from secondorder.validation.networks import initialised, small_images
from secondorder.validation.product_cost import measure_product_cost, sizes
from secondorder.validation.product_floor import product_floor
from secondorder.validation.product_networks import GROWING, PIXELS, wide_perceptron

MEBIBYTES = 16


@pytest.fixture(scope="module")
def images(dataset):
    return small_images(dataset, 8, PIXELS)


@pytest.fixture(scope="module")
def tables(images):
    return measure_product_cost(*images, batch_sizes=[4, 8], widths=[16, 32], repeats=2)


def test_batches_grow_at_the_largest_width_and_widths_at_the_largest_batch():
    assert sizes([16, 64], [32, 128]) == [(16, 128), (64, 128), (64, 32)]


def test_there_is_a_row_for_each_network_size_and_method(tables):
    expected = [
        (network, *size, method) for network in GROWING for size in sizes([4, 8], [16, 32]) for method in METHODS
    ]
    for table in tables:
        about = table[["network", "batch_size", "width", "method"]]
        assert list(about.itertuples(index=False, name=None)) == expected


def test_seconds_and_memory_are_measured(tables):
    timing = tables[1]
    assert (timing["gradient_seconds"] > 0).all()
    assert (timing["fastest"] > 0).all()
    assert (timing["fastest"] <= timing["time"]).all()
    assert (timing["time"] <= timing["slowest"]).all()
    assert (timing["construction"] > 0).all()
    assert (timing["memory"] >= 0).all()


@pytest.mark.parametrize(
    ("method", "floor"),
    [("r_operator", 1.33), ("double_backward", 1.33), ("forward_over_reverse", 2.33), ("complex_step", 2.11)],
)
def test_floor_of_a_known_perceptron(method, floor):
    """784-512-256-10 by hand: M = 535,040, N = 133,632."""
    model = wide_perceptron(256)
    assert product_floor(model, torch.zeros(2, 1, PIXELS, PIXELS).double(), method) == pytest.approx(floor, abs=5e-3)


@pytest.mark.parametrize("method", ["double_backward", "finite_difference"])
def test_floor_is_what_automatic_differentiation_multiplies(images, method):
    inputs, labels = images
    model = initialised(lambda: wide_perceptron(16), seed=0)
    products = HessianVectorProducts(model, functional.cross_entropy, inputs, labels, method)
    vector = torch.ones(sum(parameter.numel() for parameter in model.parameters()), dtype=torch.float64)
    with FlopCounterMode(display=False) as of_product:
        products(vector)
    with FlopCounterMode(display=False) as of_gradient:
        torch.autograd.grad(functional.cross_entropy(model(inputs), labels), list(model.parameters()))
    counted = of_product.get_total_flops() / of_gradient.get_total_flops()
    assert counted == pytest.approx(product_floor(model, inputs, method), rel=1e-12)


def test_floor_of_a_single_layer_leaves_its_inputs_alone():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3)).double()
    inputs = torch.zeros(2, 4).double()
    # ẏ = x Ẇᵀ and the derivative of ȳᵀ x by ȳ, beside a forward and a backward product.
    assert product_floor(model, inputs, "r_operator") == 1.0


def _filled() -> int:
    _, memory = peak_memory_of(lambda: torch.ones(MEBIBYTES * 2**18))
    return memory


def test_memory_is_that_of_what_is_allocated_and_freed_memory_hides_none():
    freed = [torch.ones(2**18) for _ in range(MEBIBYTES)]
    del freed
    assert 1.0 <= in_a_process(_filled) / (MEBIBYTES * 2**20) < 2.0


def test_process_has_one_thread():
    assert in_a_process(torch.get_num_threads) == 1


def test_spread_is_a_median_with_its_ends():
    assert spread([3.0, 1.0, 2.0]) == {"seconds": 2.0, "fastest": 1.0, "slowest": 3.0}


def test_numbers_repeat_bit_for_bit(tables, images):
    again, _ = measure_product_cost(*images, batch_sizes=[8], widths=[32], repeats=1)
    first = tables[0]
    same = first[(first["batch_size"] == 8) & (first["width"] == 32)].reset_index(drop=True)
    assert again.equals(same)
