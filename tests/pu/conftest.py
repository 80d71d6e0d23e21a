"""Converts probabilities to logits, so that expected values can be computed by hand."""

import math

import pytest
import torch


@pytest.fixture
def logits():
    def make(*probabilities: float) -> torch.Tensor:
        values = [math.log(p / (1 - p)) for p in probabilities]
        return torch.tensor(values, dtype=torch.float32, requires_grad=True)

    return make


@pytest.fixture
def nothing():
    return torch.empty(0, dtype=torch.float32)
