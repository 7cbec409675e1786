"""What is too large is refused before memory is taken, and what memory cannot hold is said as it is."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from secondorder.curvature import ExactHessian, PerSampleHessians, activation_hessian, gauss_newton
from secondorder.curvature.gauss_newton import output_jacobian
from secondorder.curvature.layers import take_apart
from secondorder.errors import CapabilityError

LABELS = torch.tensor([0, 1])


def wide_convolution():
    """A network of 365,402 parameters, whose matrix would be 500 GB; a forward pass is nothing."""
    return nn.Sequential(nn.Conv2d(1, 200, 3), nn.Tanh(), nn.Conv2d(200, 200, 3), nn.Flatten(), nn.Linear(200, 2))


@pytest.mark.parametrize("maker", [ExactHessian, PerSampleHessians])
def test_second_derivatives_that_do_not_fit_are_refused_with_their_number(maker):
    with pytest.raises(CapabilityError, match=r"second derivatives of 2 samples are \d\.\de\+1\d numbers.*use fewer"):
        maker(wide_convolution(), functional.cross_entropy, torch.randn(2, 1, 5, 5), LABELS)


def test_a_jacobian_that_does_not_fit_is_refused_with_its_number(monkeypatch):
    monkeypatch.setattr(gauss_newton, "LARGEST_ROWS", 10)
    network = take_apart(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 2)), torch.randn(2, 1, 3, 3))
    with pytest.raises(CapabilityError, match=r"by 20 parameters of convolutions are 4\.0e\+01 numbers"):
        output_jacobian(network, functional.cross_entropy, torch.randn(2, 1, 3, 3), LABELS)


def test_running_out_of_memory_is_not_taken_for_a_missing_derivative(monkeypatch):
    leaf = torch.ones(2, requires_grad=True)

    def out_of_memory(*_arguments, **_options):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(activation_hessian.torch.autograd, "grad", out_of_memory)
    with pytest.raises(torch.OutOfMemoryError):
        activation_hessian.batched_gradients(leaf * 2, [leaf], torch.eye(2))


def test_an_operation_in_place_is_explained_for_the_gauss_newton_form_too():
    network = take_apart(
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.ReLU(inplace=True), nn.Linear(4, 2)), torch.randn(2, 3)
    )
    with pytest.raises(CapabilityError, match="changes a tensor in place"):
        output_jacobian(network, functional.cross_entropy, torch.randn(2, 3), LABELS)
