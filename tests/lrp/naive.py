"""The rules once more, as slowly and plainly as they can be written.

Everything is a dense matrix here: the layer's Jacobian from autograd, one row an output
unit, and the equations with explicit sums over it. Nothing of the library is used.
"""

import torch


def matrix(layer, shape):
    """Weights as (inputs, outputs) and bias as (outputs,), by probing the layer."""
    zero = torch.zeros(1, *shape, dtype=torch.float64)
    bias = layer(zero).flatten().detach()
    n = zero.numel()
    rows = []
    for i in range(n):
        e = torch.zeros(n, dtype=torch.float64)
        e[i] = 1
        rows.append(layer(e.reshape(1, *shape)).flatten().detach() - bias)
    return torch.stack(rows), bias


def connected(layer, shape):
    """Which input reaches which output, weights apart: (inputs, outputs) of 0 and 1."""
    kept = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight.fill_(1.0)
        w, _ = matrix(layer, shape)
        layer.weight.copy_(kept)
    return w.round()


def stab(z, epsilon):
    sign = 1.0 if z >= 0 else -1.0
    return z + epsilon * sign


def epsilon_rule(w, b, a, R, epsilon=1e-6):
    out = torch.zeros_like(a)
    for j in range(w.shape[1]):
        z = float((a * w[:, j]).sum() + b[j])
        out += a * w[:, j] / stab(z, epsilon) * R[j]
    return out


def alpha_beta_rule(w, b, a, R, alpha, beta, epsilon=1e-6):
    out = torch.zeros_like(a)
    for j in range(w.shape[1]):
        c = a * w[:, j]
        plus, minus = c.clamp(min=0), c.clamp(max=0)
        z_plus = float(plus.sum()) + max(float(b[j]), 0.0)
        z_minus = float(minus.sum()) + min(float(b[j]), 0.0)
        out += alpha * plus / stab(z_plus, epsilon) * R[j]
        out -= beta * minus / stab(z_minus, epsilon) * R[j]
    return out


def gamma_rule(w, b, a, R, gamma, epsilon=1e-6):
    """Generalized: the contributions of the output's own sign grow by 1 + gamma."""
    out = torch.zeros_like(a)
    for j in range(w.shape[1]):
        c = a * w[:, j]
        z = float(c.sum() + b[j])
        if z == 0:
            continue
        grows = (c > 0) if z > 0 else (c < 0)
        c = torch.where(grows, (1 + gamma) * c, c)
        bias = float(b[j])
        if (bias > 0) == (z > 0):
            bias *= 1 + gamma
        out += c / stab(float(c.sum()) + bias, epsilon) * R[j]
    return out


def flat_rule(w, b, a, R, reach, epsilon=1e-6):
    out = torch.zeros_like(a)
    for j in range(w.shape[1]):
        out += reach[:, j] / stab(float(reach[:, j].sum()), epsilon) * R[j]
    return out


def wsquare_rule(w, b, a, R, epsilon=1e-6):
    out = torch.zeros_like(a)
    for j in range(w.shape[1]):
        square = w[:, j] ** 2
        out += square / stab(float(square.sum()), epsilon) * R[j]
    return out


def zbox_rule(w, b, a, R, low, high, epsilon=1e-6):
    out = torch.zeros_like(a)
    for j in range(w.shape[1]):
        v = w[:, j]
        c = a * v - low * v.clamp(min=0) - high * v.clamp(max=0)
        out += c / stab(float(c.sum()), epsilon) * R[j]
    return out
