"""Networks as people bring them: the right answer, or an error that helps."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lrpbook_lib.lrp import Composite, Epsilon, Explainer, LRPError

EXACT = Composite(dense=Epsilon(1e-12), conv=Epsilon(1e-12), pool=Epsilon(1e-12))


class Viewed(nn.Module):
    """``x.view`` behind a convolution, in-place activations, sizes read from data."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(64, 2)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x), inplace=True), 2)
        return self.head(x.view(x.size(0), -1))


class Inverted(nn.Module):
    """A block of MobileNet: depthwise, folded norms, a skip, a mean over places."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(3, 6, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU6(True)),
            nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
            *(nn.BatchNorm2d(6), nn.ReLU(True), nn.Conv2d(6, 3, 1, bias=False)),
            nn.BatchNorm2d(3),
        )
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head((x + self.body(x)).mean((2, 3)))


class Chosen(nn.Module):
    """A leaky ReLU, a bound and a maximum, each written out."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        h = self.conv(x)
        h = torch.where(h > 0, h, 0.1 * h)
        h = torch.maximum(h, 0.5 * h.flip(1))
        return self.head(torch.cat([h.clamp(min=0), h], 1).mean((2, 3)))


class Tokens(nn.Module):
    """Positions in a row, the same layer at each."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(x.flatten(2).mT).mean(1)


class Normalized(nn.Module):
    """Weight norm, a repeated layer, global pooling by size."""

    def __init__(self):
        super().__init__()
        self.stem = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = F.relu(self.again(F.relu(self.again(F.relu(self.stem(x))))))
        return self.head(F.max_pool2d(x, x.shape[2:])[..., 0, 0])


class PositionNorm(nn.Module):
    """Batch norm over positions, behind a dense layer: not its output channels."""

    def __init__(self, outputs=5):
        super().__init__()
        self.dense, self.norm = nn.Linear(64, outputs), nn.BatchNorm1d(3)
        self.head = nn.Linear(3 * outputs, 2)

    def forward(self, x):
        return self.head(self.norm(self.dense(x.flatten(2))).relu().flatten(1))


class PositionNormSquare(PositionNorm):
    """As many positions as outputs, where a mix-up has fitting shapes."""

    def __init__(self):
        super().__init__(3)


NETS = [Viewed, Inverted, Chosen, Tokens, Normalized, PositionNorm, PositionNormSquare]


def made(kind, biases=True):
    torch.manual_seed(0)
    model = kind().double().eval()
    with torch.no_grad():
        for m in model.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                m.running_mean.uniform_(-0.3, 0.3) if biases else m.running_mean.zero_()
                m.running_var.uniform_(0.5, 1.5)
                m.weight.uniform_(0.5, 1.5)
        for name, p in model.named_parameters():
            if "bias" in name and not biases:
                p.zero_()
    return model, torch.randn(2, 3, 8, 8, dtype=torch.float64)


@pytest.mark.parametrize("kind", NETS, ids=lambda kind: kind.__name__)
def test_without_bias_epsilon_is_the_gradient_times_the_input(kind):
    # Piecewise linear and homogeneous: both are the exact share of each entry. Sums
    # and means bring a stabilizer of their own, 1e-6, which is all that differs.
    model, x = made(kind, biases=False)
    x.requires_grad_()
    want = torch.autograd.grad(model(x)[:, 1].sum(), x)[0] * x
    logits, R = Explainer(model, EXACT)(x, 1)
    torch.testing.assert_close(R, want, rtol=1e-8, atol=1e-6)
    torch.testing.assert_close(R.flatten(1).sum(1), logits[:, 1])


@pytest.mark.parametrize("name", ["epsilon-plus", "epsilon-gamma-box", "zplus"])
@pytest.mark.parametrize("kind", NETS, ids=lambda kind: kind.__name__)
def test_the_ledger_closes(kind, name):
    model, x = made(kind)
    explainer = Explainer(model, name)
    torch.testing.assert_close(explainer(x)[0], model(x))
    table = explainer.ledger(x, 1)
    size = table["relevance_out"].abs() + table["relevance_in"].abs()
    assert (table["unexplained"].abs() <= 1e-6 * size + 1e-9).drop("total").all()


@pytest.mark.parametrize(
    "signed",
    [
        lambda x: torch.add(x, x.flip(1), alpha=-1),
        lambda x: torch.mul(x, other=-2.0),
        lambda x: x.clamp(max=-0.5),
        lambda x: nn.functional.pad(x, (1, 1, 1, 1), value=-1.0),
        lambda x: x - x.flip(1),
    ],
    ids=["alpha", "keyword", "bound", "margin", "difference"],
)
def test_what_can_be_negative_is_not_taken_for_nonnegative(signed):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Conv2d(3, 2, 1)

        def forward(self, x):
            return self.dense(signed(x.relu())).flatten(1)

    assert "nonnegative=True" not in Explainer(Net(), "zplus").program


def test_pooling_that_hands_out_its_winners():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = nn.MaxPool2d(2, return_indices=True)

        def forward(self, x):
            return self.pool(x)[0].flatten(1)

    with pytest.raises(LRPError, match=r"'pool' returns the indices"):
        Explainer(Net())


@pytest.mark.parametrize(
    ("f", "spelled"),
    [
        (lambda x: x / x.mean(1, keepdim=True), r"register\(_?operator\.truediv\)"),
        (lambda x: torch.cumsum(x, 1), r"register\(torch\.cumsum\)"),
        (lambda x: F.log_softmax(x, 1), r"register\(torch.nn.functional.log_softmax\)"),
    ],
    ids=["operator", "torch", "functional"],
)
def test_an_error_spells_the_function_as_one_would_write_it(f, spelled):
    class Net(nn.Module):
        def forward(self, x):
            return f(x)

    with pytest.raises(LRPError, match=spelled):
        Explainer(Net())
