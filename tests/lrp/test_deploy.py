"""Compiled, in mixed precision, on two processes, exported."""

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn

from lrpbook_lib.lrp import (
    COMPOSITES,
    Composite,
    Epsilon,
    Explainer,
    Gamma,
    LRPError,
    export,
    export_onnx,
)

from .nets import Plain, SmallResNet, build, sample

KNOBS = Composite(dense=Epsilon(), conv=Gamma())


def gradients(explainer, x):
    logits, R = explainer(x, 1)
    loss = logits.square().mean() + (R[..., :4].sum() / (R.square().sum() + 1))
    return torch.autograd.grad(loss, list(explainer.parameters()))


def test_compiled_in_one_graph_with_the_same_gradients():
    explainer, x = Explainer(build(Plain), KNOBS), sample(Plain)
    compiled = torch.compile(explainer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, 1)[1], explainer(x, 1)[1])
    for ours, want in zip(gradients(compiled, x), gradients(explainer, x), strict=True):
        torch.testing.assert_close(ours, want)


def test_compiled_by_inductor():
    explainer, x = Explainer(build(Plain).float()), sample(Plain).float()
    with torch.no_grad():
        want = explainer(x, 1)[1]
        ours = torch.compile(explainer, fullgraph=True)(x, 1)[1]
    torch.testing.assert_close(ours, want, rtol=1e-3, atol=1e-5)


def test_among_equals_the_first_wins_compiled_too():
    model = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 1, bias=False))
    explainer = Explainer(model.double(), "epsilon")
    x = torch.ones(1, 1, 5, 4, dtype=torch.float64)
    compiled = torch.compile(explainer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, 0)[1], explainer(x, 0)[1])


@pytest.mark.parametrize("kind", [Plain, SmallResNet], ids=lambda kind: kind.__name__)
def test_autocast(kind):
    explainer, x = Explainer(build(kind).float()), sample(kind).float()
    _, want = explainer(x, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, R = explainer(x, 1)
    assert R.dtype == torch.float32 and R.isfinite().all()
    together = torch.stack([R.flatten(), want.flatten()])
    assert torch.corrcoef(together)[0, 1] > 0.9
    (R.sum() + logits.float().sum()).backward()
    assert all(p.grad.isfinite().all() for p in explainer.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", list(COMPOSITES))
def test_a_gpu_agrees(name):
    explainer, x = Explainer(build(Plain), name), sample(Plain)
    want = explainer(x, 1)[1]
    on_gpu = explainer.to("cuda")(x.cuda(), 1)[1]
    torch.testing.assert_close(on_gpu.cpu(), want)


def _train_step(rank, world, path, out):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{path}", rank=rank, world_size=world
    )
    model = build(Plain)
    wrapped = nn.parallel.DistributedDataParallel(Explainer(model))
    x = sample(Plain, batch=4)[2 * rank : 2 * rank + 2]
    logits, R = wrapped(x, 1)
    loss = F.cross_entropy(logits, torch.ones(2, dtype=torch.long))
    (loss - R[..., :4].flatten(1).sum(1).mean()).backward()
    if rank == 0:
        torch.save([p.grad for p in model.parameters()], out)
    dist.destroy_process_group()


def test_two_processes_average_gradients(tmp_path):
    out = tmp_path / "grads.pt"
    mp.spawn(_train_step, args=(2, str(tmp_path / "meet"), str(out)), nprocs=2)
    model, x = build(Plain), sample(Plain, batch=4)
    logits, R = Explainer(model)(x, 1)
    loss = F.cross_entropy(logits, torch.ones(4, dtype=torch.long))
    (loss - R[..., :4].flatten(1).sum(1).mean()).backward()
    for ours, p in zip(torch.load(out), model.parameters(), strict=True):
        torch.testing.assert_close(ours, p.grad)


def test_export_with_live_knobs():
    explainer, x = Explainer(build(Plain), KNOBS), sample(Plain)
    program = export(explainer, x).module()
    more = sample(Plain, batch=5, seed=4)
    target = torch.tensor([0, 1, 2, 1, 0])
    for epsilon, gamma in ((1e-6, 0.25), (0.1, 1.0)):
        rules = Composite(dense=Epsilon(epsilon), conv=Gamma(gamma))
        want = Explainer(explainer.model, rules)(more, target)
        knobs = [torch.tensor(v, dtype=torch.float64) for v in (epsilon, gamma)]
        for ours, theirs in zip(program(more, target, *knobs), want, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_onnx_with_live_knobs(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model, x = build(Plain).float(), sample(Plain).float()
    explainer = Explainer(model, KNOBS)
    path = export_onnx(explainer, x, tmp_path / "lrp.onnx")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    more = sample(Plain, batch=3, seed=4).float()
    target = torch.tensor([0, 1, 1])
    for epsilon, gamma in ((0.01, 0.25), (0.1, 1.0)):
        rules = Composite(dense=Epsilon(epsilon), conv=Gamma(gamma))
        want = Explainer(model, rules)(more, target)
        knobs = {"epsilon": np.float32(epsilon), "gamma": np.float32(gamma)}
        logits, R = session.run(
            None,
            {
                "x": more.numpy(),
                "target": target.numpy(),
                **{k: np.array(v) for k, v in knobs.items()},
            },
        )
        np.testing.assert_allclose(logits, want[0].detach(), rtol=1e-3, atol=1e-5)
        together = np.stack([R.ravel(), want[1].detach().numpy().ravel()])
        assert np.corrcoef(together)[0, 1] > 0.9999


def test_export_needs_evaluation_mode():
    explainer = Explainer(build(Plain).train(), KNOBS)
    with pytest.raises(LRPError, match="eval"):
        export(explainer, sample(Plain))
