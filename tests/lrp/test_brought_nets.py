"""Gates, attention and branches: networks that people bring, made small."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lrpbook_lib.lrp import (
    Composite,
    Epsilon,
    Explainer,
    Half,
    UntraceableModelError,
)

TINY = Composite(dense=Epsilon(1e-12), conv=Epsilon(1e-12), pool=Epsilon(1e-12))


class Squeezed(nn.Module):
    """A gate for each channel (Hu et al. 2018), Hardswish and group norm, in nD."""

    def __init__(self, n=2):
        super().__init__()
        conv = getattr(nn, f"Conv{n}d")
        self.conv, self.norm = conv(2, 4, 3, padding=1), nn.GroupNorm(2, 4)
        self.squeeze, self.excite = nn.Linear(4, 2), nn.Linear(2, 4)
        self.head, self.act = nn.Linear(4, 2), nn.Hardswish()

    def forward(self, x):
        h = self.act(self.norm(self.conv(x)))
        b, c = h.shape[:2]
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(h.flatten(2).mean(2)))))
        h = h * gate.view(b, c, *[1] * (h.dim() - 2))
        return self.head(h.flatten(2).mean(2))


class AttentionGate(nn.Module):
    """A gate for each place (Oktay et al. 2018), and a branch on the input's type."""

    def __init__(self):
        super().__init__()
        self.skip, self.deep = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 1)
        self.psi = nn.Sequential(nn.Conv2d(3, 1, 1), nn.Sigmoid())
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        skip = F.silu(self.skip(x))
        gate = self.psi(F.relu(skip + self.deep(x)))
        h = skip * gate
        if isinstance(h, torch.Tensor):
            h = h - 0.5
        return self.head(h.mean((2, 3)))


class Block(nn.Module):
    """A block of a transformer, its attention written in one of three ways."""

    def __init__(self, way):
        super().__init__()
        self.way, self.norm1, self.norm2 = way, nn.LayerNorm(4), nn.LayerNorm(4)
        self.mha = nn.MultiheadAttention(4, 2, batch_first=True)
        self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 4)
        self.mlp = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 4))

    def attended(self, h):
        if self.way == "module":
            return self.mha(h, h, h, need_weights=False)[0]
        b, n, c = h.shape
        if c != 4:
            raise ValueError("four features")
        q, k, v = self.qkv(h).reshape(b, n, 3, 2, 2).permute(2, 0, 3, 1, 4).unbind(0)
        if self.way == "einsum":
            p = (torch.einsum("bhxd,bhyd->bhxy", q, k) * 2**-0.5).softmax(dim=-1)
            h = torch.einsum("bhxy,bhyd->bhxd", p, v)
        else:
            h = F.scaled_dot_product_attention(q, k, v)
        return self.out(h.transpose(1, 2).reshape(b, n, c))

    def forward(self, h):
        h = h + self.attended(self.norm1(h))
        return h + self.mlp(self.norm2(h))


class ViT(nn.Module):
    """Patches, positions, a class token, one block."""

    def __init__(self, way="module"):
        super().__init__()
        self.patches = nn.Conv2d(2, 4, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.positions = nn.Parameter(torch.randn(1, 5, 4) * 0.1)
        self.block, self.head = Block(way), nn.Linear(4, 2)

    def forward(self, x):
        h = self.patches(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.token.expand(x.shape[0], -1, -1), h], 1) + self.positions
        return self.head(self.block(h)[:, 0])


NETS = {
    "gate 1D": (lambda: Squeezed(1), (2, 9)),
    "gate 2D": (lambda: Squeezed(2), (2, 5, 5)),
    "gate 3D": (lambda: Squeezed(3), (2, 4, 4, 4)),
    "attention gate": (AttentionGate, (2, 5, 5)),
    "vit module": (lambda: ViT("module"), (2, 8, 8)),
    "vit einsum": (lambda: ViT("einsum"), (2, 8, 8)),
    "vit fused": (lambda: ViT("fused"), (2, 8, 8)),
}


def made(name):
    torch.manual_seed(0)
    build, shape = NETS[name]
    return build().double().eval(), torch.randn(2, *shape, dtype=torch.float64)


@pytest.mark.parametrize("name", NETS)
def test_logits_any_batch_and_a_closed_ledger(name):
    model, x = made(name)
    explainer = Explainer(model, TINY)
    for n in (1, 2, 5):
        some = x[:1].expand(n, *x.shape[1:]) * torch.arange(1, n + 1).view(
            -1, *[1] * (x.ndim - 1)
        )
        logits, R = explainer(some, 1)
        torch.testing.assert_close(logits, model(some))
        torch.testing.assert_close(R[:1], explainer(some[:1], 1)[1])
    assert float(explainer.ledger(x, 1).loc["total", "unexplained"]) == pytest.approx(
        0, abs=1e-4
    )


@pytest.mark.parametrize("name", ["gate 2D", "attention gate", "vit module"])
def test_relevance_can_be_trained_through(name):
    model, x = made(name)
    explainer = Explainer(model, Composite(dense=Epsilon(0.1), conv=Epsilon(0.1)))
    weights = torch.randn_like(x)

    def value():
        return (explainer(x, 1)[1] * weights).sum()

    value().backward()
    for p in [p for p in model.parameters() if p.grad is not None]:
        at = int(p.grad.abs().argmax())
        flat, want, step = p.data.view(-1), p.grad.view(-1)[at], 1e-6
        kept = float(flat[at])
        ends = []
        for sign in (1, -1):
            flat[at] = kept + sign * step
            ends.append(float(value().detach()))
        flat[at] = kept
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(
            float(want), rel=1e-3, abs=1e-5
        )


@pytest.mark.parametrize(
    ("f", "said"),
    [
        (lambda x: x / (float(x.shape[0]) if x.shape[1] else 1), "for 2 samples"),
        (lambda x: x[: len(x) // 2 + 1] if len(x) else x, "for 2 samples"),
        (lambda x: x if torch.equal(x, x.relu()) else -x, "looks at values"),
        (lambda x: x if x.max() > 3 else -x, "looks at values"),
    ],
    ids=["a number", "a slice", "equal", "comparison"],
)
def test_what_no_fixed_program_can_follow_is_refused(f, said):
    class Net(nn.Module):
        def forward(self, x):
            if not isinstance(x, torch.Tensor) or type(x) is not torch.Tensor:
                raise TypeError("a tensor")
            return f(x)

    explainer = Explainer(Net())
    for _ in range(2):
        with pytest.raises(UntraceableModelError, match=said):
            explainer(torch.rand(4, 2), 1)
    with pytest.raises(UntraceableModelError):
        _ = explainer.program


def test_the_page_says_how_each_was_captured():
    page = (Path(__file__).parents[2] / "book" / "api.md").read_text()
    for name in NETS:
        model, x = made(name)
        explainer = Explainer(model)
        total = explainer.ledger(x, 1).loc["total"]
        assert abs(total["unexplained"]) < 1e-6
        way = explainer.captured.split(",")[0]
        assert f"| {name} | {way} | < 1e-6 |" in page


class Only(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


def test_a_gate_against_its_definition():
    x, R = torch.randn(2, 2, 3, dtype=torch.float64)
    gated = Only(lambda x: x * torch.sigmoid(x))
    torch.testing.assert_close(Explainer(gated)(x, R)[1], R)
    halved = Explainer(Only(lambda x: x * x.flip(1)), Composite(gate=Half()))(x, R)[1]
    torch.testing.assert_close(halved, (R + R.flip(1)) / 2)


def test_softmax_and_products_against_explicit_sums():
    torch.manual_seed(0)
    x, R = torch.randn(2, 1, 3, 3, dtype=torch.float64)
    p = x.softmax(-1)
    want = torch.zeros_like(x)
    for i in range(3):
        for j in range(3):
            want[0, i, j] = x[0, i, j] * (R[0, i, j] - p[0, i, j] * R[0, i].sum())
    torch.testing.assert_close(Explainer(Only(lambda x: x.softmax(-1)))(x, R)[1], want)
    # Each factor of a product of matrices, x and its transpose.
    z, want = x @ x.mT, torch.zeros_like(x)
    for i in range(3):
        for k in range(3):
            d = z[0, i, k] + (1e-6 if z[0, i, k] >= 0 else -1e-6)
            for j in range(3):
                part = x[0, i, j] * x[0, k, j] / d * R[0, i, k] / 2
                want[0, i, j] += part
                want[0, k, j] += part
    torch.testing.assert_close(Explainer(Only(lambda x: x @ x.mT))(x, R)[1], want)


ZOO = {
    "monai SEResNet50": lambda m: m.SEResNet50(spatial_dims=2, in_channels=1),
    "monai EfficientNetBN": lambda m: m.EfficientNetBN("efficientnet-b0"),
    "monai BasicUNet": lambda m: m.BasicUNet(2, 1, 2),
}


@pytest.mark.parametrize("name", ZOO)
def test_networks_of_monai_where_it_is_installed(name):
    nets = pytest.importorskip("monai.networks.nets")
    model = ZOO[name](nets).eval()
    x = torch.randn(1, 3 if "Efficient" in name else 1, 64, 64)
    logits, R = Explainer(model)(x, 1)
    torch.testing.assert_close(logits, model(x), rtol=1e-3, atol=1e-3)
    assert R.isfinite().all()


def test_shapes_by_einops():
    einops = pytest.importorskip("einops")
    x = torch.randn(2, 2, 4, 4)
    net = Only(lambda x: einops.rearrange(x, "b c (h i) w -> b (c i) h w", i=2).sum(3))
    explainer = Explainer(net)
    for n in (1, 2):
        torch.testing.assert_close(explainer(x[:n], x.new_ones(n, 4, 2))[0], net(x[:n]))
