"""Networks that carry their map: counts, sizes, and what each map adds up to."""

import itertools

import pytest
import torch
from torch import nn

from lrpbook_lib.lrp import Composite, Epsilon, Explainer, UnsupportedOperationError
from lrpbook_lib.models import (
    GlobalPooling,
    GPNet,
    GPReconResNet,
    GPShuffleUNet,
    GPUNet,
    UNetTrunk,
)

from .checks import assert_gradients, assert_lrp, count, general, image

POOLS = ("max", "mean", "lse")
SMALL = {
    "unet": lambda **more: GPUNet(2, 3, width=4, **more),
    "unet, transposed": lambda **more: GPUNet(2, 3, width=3, up="transposed", **more),
    "shuffle": lambda **more: GPShuffleUNet(2, 3, width=2, depth=2, **more),
    "recon": lambda **more: GPReconResNet(2, 3, width=2, blocks=2, **more),
    "recon, transposed": lambda **more: GPReconResNet(
        2, 3, width=2, blocks=1, up="transposed", **more
    ),
}
every_net = pytest.mark.parametrize("kind", SMALL)


def conv(inside, outside, kernel=3):
    return kernel**2 * inside * outside + outside


def double(inside, outside):
    return conv(inside, outside) + conv(outside, outside)


HEAD = 64 * 3 + 3


def unet(up):
    """Level by level: 64, 128, 256 features; up by ``up(inside, outside)``."""
    down = double(4, 64) + double(64, 128) + double(128, 256)
    back = up(256, 128) + double(256, 128) + up(128, 64) + double(128, 64)
    return down + back + HEAD


def shuffle_unet():
    """As the authors' code lists it: four waves apart, a batch norm, a shuffle."""
    total = double(4, 64)
    for f in (64, 128, 256):
        waves = 4 * conv(f, f)
        shrink = conv(f, f) + conv(4 * f, f) + 2 * f + conv(f, f) + 2 * f
        down = waves + shrink + double(f, 2 * f)
        up = conv(2 * f, 4 * f) + waves + double(5 * f, f)
        total += down + up
    return total + HEAD


def recon_resnet():
    """PReLUs with one parameter, instance norms with none."""
    down = conv(4, 64, 7) + conv(64, 128) + conv(128, 256) + 3
    blocks = 14 * (2 * conv(256, 256) + 1)
    return down + blocks + conv(256, 128) + conv(128, 64) + 2 + HEAD


def test_parameters_of_the_published_settings():
    bilinear = unet(lambda a, b: conv(a, b, 1))
    assert count(GPUNet()) == bilinear == 1_740_675
    transposed = unet(lambda a, b: conv(a, b, 2))
    assert count(GPUNet(up="transposed")) == transposed == 1_863_555
    assert count(GPShuffleUNet()) == shuffle_unet() == 26_371_587
    assert count(GPReconResNet()) == recon_resnet() == 17_272_918
    assert count(GPReconResNet(up="transposed")) == recon_resnet()


@every_net
@pytest.mark.parametrize("size", [(16, 16), (11, 13)])
def test_any_size_gets_a_map_of_its_own_size(kind, size):
    model, x = SMALL[kind]().eval(), torch.rand(2, 2, *size)
    assert model(x).shape == (2, 3)
    logits, maps = model.maps(x)
    assert torch.equal(logits, model(x)) and maps.shape == (2, 3, *size)


def test_padding_is_cut_off_where_it_was_put():
    trunk, x = UNetTrunk(2, 4).eval(), torch.rand(1, 2, 11, 14)
    whole = nn.functional.pad(x, (0, 2, 0, 1))
    torch.testing.assert_close(trunk(x), trunk(whole)[:, :, :11, :14])


#: Two features of two by two pixels; the second has its maximum twice.
FEATURES = torch.tensor([[[[1.0, 4.0], [2.0, -3.0]], [[0.0, 5.0], [5.0, 2.0]]]])


def head(pool="max", sharpness=5.0):
    made = GlobalPooling(2, 2, pool, sharpness)
    with torch.no_grad():
        made.linear.weight.copy_(torch.tensor([[1.0, 2.0], [-1.0, 0.5]]))
        made.linear.bias.copy_(torch.tensor([10.0, 20.0]))
    return made


def test_both_maps_by_hand():
    made = head()
    # Maxima 4 and 5: 4 + 10 + 10, -4 + 2.5 + 20.
    assert made(FEATURES).tolist() == [[24.0, 18.5]]
    pixel = [[[11.0, 24.0], [22.0, 11.0]], [[19.0, 18.5], [20.5, 24.0]]]
    assert made.maps(FEATURES).tolist() == [pixel]
    # Both winners stand in the upper right: the first of the two fives.
    routed = [[[0.0, 14.0], [0.0, 0.0]], [[0.0, -1.5], [0.0, 0.0]]]
    assert made.maps(FEATURES, "routed").tolist() == [routed]


def test_the_pixel_map_is_not_what_the_logit_is_made_of():
    apart = FEATURES.clone()
    apart[0, 1, 0, 1] = 0.0  # now the maxima stand apart
    made = head()
    pixel, logits = made.maps(apart).detach(), made(apart).detach()
    assert logits.tolist() == [[24.0, 18.5]]
    assert pixel.amax((2, 3)).tolist() == [[22.0, 24.0]]  # neither its maximum
    assert float(pixel.sum()) != float(logits.sum())  # nor its sum
    routed = made.maps(apart, "routed")
    assert routed.tolist() == [[[[0, 4], [10, 0]], [[0, -4], [2.5, 0]]]]


def test_mean_and_log_sum_exp_by_hand():
    a = FEATURES.double()
    assert torch.equal(head("mean").double().shares(a), a.flatten(2) / 4)
    soft = head("lse", sharpness=1.0).double()
    e = a.flatten(2).exp()
    pooled = e.mean(2).log()
    s = e / e.sum(2, keepdim=True)
    surplus = (s * (4 * s).log()).sum(2)  # KL from the uniform distribution
    torch.testing.assert_close((s * a.flatten(2)).sum(2), pooled + surplus)
    want = s * (a.flatten(2) - surplus[:, :, None])
    torch.testing.assert_close(soft.shares(a), want)
    torch.testing.assert_close(soft(a), soft.linear(pooled))


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("space", [(7,), (5, 6), (3, 4, 2)])
def test_the_routed_map_sums_to_the_logit_minus_its_bias(pool, space):
    torch.manual_seed(0)
    made = GlobalPooling(6, 3, pool).double()
    a = torch.randn(2, 6, *space, dtype=torch.float64)
    a[:, 0] = 0  # a dead feature: all pixels are equal
    a[:, 1] = a[:, 1].round()  # with ties
    routed = made.maps(a, "routed")
    assert routed.shape == (2, 3, *space)
    torch.testing.assert_close(
        routed.flatten(2).sum(2), made(a) - made.linear.bias, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(("sharpness", "limit"), [(1e-5, "mean"), (1e4, "max")])
def test_log_sum_exp_goes_over_into_the_others(sharpness, limit):
    a = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0)).double()
    soft, hard = GlobalPooling(4, 3, "lse", sharpness), GlobalPooling(4, 3, limit)
    hard.load_state_dict(soft.state_dict())
    soft, hard = soft.double(), hard.double()
    for ask in ("__call__", "shares"):
        got, want = getattr(soft, ask)(a), getattr(hard, ask)(a)
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["pixel", "routed"])
@pytest.mark.parametrize("pool", POOLS)
def test_gradients_of_the_maps(pool, kind):
    torch.manual_seed(0)
    made = GlobalPooling(3, 2, pool, 2.0).double()
    a = torch.randn(1, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    answers = Maps(made, kind)

    def run(a, weight):
        given = {"head.linear.weight": weight}
        return torch.func.functional_call(answers, given, a)

    assert torch.autograd.gradcheck(run, (a, made.linear.weight))


class Maps(nn.Module):
    """A head as a module that answers its map."""

    def __init__(self, head, kind):
        super().__init__()
        self.head, self.kind = head, kind

    def forward(self, a):
        return self.head.maps(a, self.kind)


@every_net
def test_its_own_map(kind):
    model, x = general(SMALL[kind]()), image(2, 12, 12)
    logits, maps = model.maps(x)
    for target in (None, 2, torch.tensor([2, 0])):
        got, heat = model.own_map(x, target)
        chosen = got.argmax(1) if target is None else torch.as_tensor(target).expand(2)
        assert torch.equal(got, logits) and heat.shape == (2, 1, 12, 12)
        assert torch.equal(heat[:, 0], maps[[0, 1], chosen])
    weights = torch.zeros_like(logits)
    weights[:, 0], weights[:, 2] = -1, 1
    gap = model.own_map(x, weights)[1][:, 0]
    torch.testing.assert_close(gap, maps[:, 2] - maps[:, 0])
    heat = model.own_map(x, 1, "routed")[1]
    bias = model.head.linear.bias[1]
    torch.testing.assert_close(heat.sum((1, 2, 3)), logits[:, 1] - bias)
    gradients = torch.autograd.grad(heat.square().sum(), model.trunk.parameters())
    assert any(bool(g.any()) for g in gradients)


class Halves(nn.Module):
    """A trunk that is not at full resolution."""

    def forward(self, x):
        return nn.functional.avg_pool2d(x, 2)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_any_trunk(n):
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n - 1]
    trunk = nn.Sequential(conv(2, 5, 3, padding=1), nn.ReLU(), conv(5, 4, 1))
    model, x = general(GPNet(trunk, 4, 3)), image(2, *(6, 5, 4)[:n])
    assert model.own_map(x)[1].shape == (2, 1, *x.shape[2:])
    assert_lrp(model, x, "epsilon-plus")


def test_what_is_refused():
    with pytest.raises(ValueError, match="full resolution"):
        GPNet(Halves(), 2, 3).own_map(torch.rand(1, 2, 8, 8))
    for wrong in ({"pool": "median"}, {"pool": "lse", "sharpness": 0}):
        with pytest.raises(ValueError, match=next(reversed(wrong))):
            GlobalPooling(2, 2, **wrong)
    with pytest.raises(ValueError, match="bilinear"):
        GPUNet(up="sinc")
    with pytest.raises(ValueError, match="routed"):
        head().maps(FEATURES, "sum")


@every_net
@pytest.mark.parametrize("pool", ["max", "mean"])
def test_the_ledger_closes(kind, pool):
    model = general(SMALL[kind](pool=pool))
    for size in ((12, 12), (9, 14)):
        assert_lrp(model, image(2, *size), "epsilon-plus")


@every_net
def test_all_of_the_logit_arrives_where_nothing_has_a_bias(kind):
    model, x = general(SMALL[kind](), biases=False), image(2, 12, 12)
    exact = Epsilon(1e-12)
    composite = Composite(dense=exact, conv=exact, pool=exact)
    logits, relevance = Explainer(model, composite)(x, 1)
    torch.testing.assert_close(
        relevance.flatten(1).sum(1), logits[:, 1], rtol=1e-3, atol=1e-5
    )


@every_net
def test_lrp_starts_with_the_routed_map(kind):
    model, x = general(SMALL[kind]()), image(2, 12, 12)
    by_layer = Explainer(model, Composite(dense=Epsilon(1e-12)))(
        x, 1, layers=["trunk"]
    )[2]
    routed = model.own_map(x, 1, "routed")[1]
    torch.testing.assert_close(by_layer["trunk"].sum(1, keepdim=True), routed)


PRESETS = ("epsilon-plus", "zplus", "epsilon-gamma-box")
PAIRS = list(zip(SMALL, itertools.cycle(("max", "mean")), itertools.cycle(PRESETS)))


@pytest.mark.parametrize(("kind", "pool", "name"), PAIRS)
def test_gradients(kind, pool, name):
    model = general(SMALL[kind](pool=pool))
    assert_gradients(Explainer(model, name), image(2, 8, 8), target=1)


def test_lrp_says_what_it_cannot_cross():
    with pytest.raises(UnsupportedOperationError, match="logsumexp"):
        Explainer(GPUNet(2, 3, width=2, pool="lse"))


class Page(nn.Module):
    """What a page runs: logits and both maps."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return *self.model.maps(x), self.model.maps(x, "routed")[1]


def test_onnx(tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    page = Page(SMALL["unet"]()).eval()
    x = torch.rand(2, 2, 12, 12)
    shapes = ({0: torch.export.Dim("batch")},)
    made = torch.onnx.export(page, (x,), dynamic_shapes=shapes, verbose=False)
    made.save(str(tmp_path / "gp.onnx"))
    session = runtime.InferenceSession(tmp_path / "gp.onnx")
    x = torch.rand(3, 2, 12, 12)
    got = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    for ours, want in zip(got, page(x), strict=True):
        torch.testing.assert_close(torch.from_numpy(ours), want, rtol=1e-4, atol=1e-5)
