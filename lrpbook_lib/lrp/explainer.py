"""The explainer: a model that answers with its logits and their relevance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .composite import Composite, composite_named
from .errors import LRPError
from .start import STARTS, Start, check_target, start_relevance
from .trace import trace
from .transform import Writer

if TYPE_CHECKING:
    import pandas as pd


class Explainer(nn.Module):
    r"""A model, and where in the input each of its answers came from.

    The model's forward pass is traced once and continued by its relevance pass: one
    straight-line program of differentiable operations on the model's own parameters.
    Relevance can therefore stand in a loss, and its gradient with respect to every
    weight is right.

    Parameters
    ----------
    model : nn.Module
        Kept as the submodule ``model``, unchanged: no hooks, no copies, no new state.
        Parameters of the explainer are the parameters of the model.
    composite : str or Composite
        Which rule goes where: one of ``COMPOSITES`` or your own.
    at : str, optional
        Stop the forward pass at this layer and start relevance there. The first value
        returned is then that layer's output.
    start : {"logit", "one", "softmax", "difference"}
        How much relevance the target starts with: see ``start_relevance``. With ``at``
        and no target, every unit of the layer starts with its own activation.
    clean : bool
        With dropout and batch norm in training mode there are two networks to speak of.
        True (default): logits are those of the training pass, relevance is that of the
        network in evaluation form (dropout off, running statistics), which costs a
        second forward pass from the first such layer on. False: relevance
        of the very pass that made the logits, with its dropout masks and its batch
        statistics. In evaluation mode there is no difference.
    check : bool
        Look at inputs and targets before running (NaN, range, shape, device), at the
        price of one synchronization a call on a GPU. Never done while compiling.

    Examples
    --------
    >>> explainer = Explainer(model, "epsilon-plus")
    >>> logits, relevance = explainer(x, target)
    >>> score = tumor_lrp_score(relevance, mask, brain)
    >>> (cross_entropy(logits, target) - score.log().mean()).backward()

    Notes
    -----
    Activations, reshaping and max pooling need no rule: relevance stays with its unit,
    or goes to the winner of the window (the first one among equals). Sums share in
    proportion to their summands. Batch norm behind a linear layer or a convolution is
    folded into it as a function of its own parameters. Under autocast the forward pass
    runs as it would; the relevance pass divides by small numbers and stays in float32.
    On a CPU, images are brought into channels-last layout, which halves the time.
    """

    def __init__(
        self,
        model: nn.Module,
        composite: str | Composite = "epsilon-plus",
        at: str | None = None,
        *,
        start: Start = "logit",
        clean: bool = True,
        check: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise LRPError(f"model is a {type(model).__name__}, not a nn.Module.")
        if start not in STARTS:
            raise LRPError(f"start is {start!r}; it takes one of {', '.join(STARTS)}.")
        self.model = model
        self.training = model.training
        self.composite = composite_named(composite)
        self.at, self.start, self.clean, self.check = at, start, clean, check
        self._prepare()

    def _prepare(self) -> None:
        self._trace = trace(self.model)
        self._writer = Writer(self._trace, self.composite, self.at, live=not self.clean)
        self._programs: dict[Any, tuple[str, Callable[..., Any]]] = {}
        self._program(())
        self._program((), training=True)  # not while torch.compile is looking
        # Functional dropout and batch norm follow the mode of the module they stand in.
        owners = {self._writer.mode_of(node) for node in self._writer.modal}
        self._modal = [m for m in owners if m is not None]

    def _program(
        self, layers: tuple[str, ...], watched: bool = False, training: bool = False
    ) -> Callable[..., Any]:
        key = (layers, watched, training)
        if key not in self._programs:
            self._programs[key] = self._writer.compile(*key)
        return self._programs[key][1]

    @property
    def program(self) -> str:
        """The program that runs: forward and relevance pass as readable Python."""
        return self._programs[((), False, False)][0]

    @property
    def program_rules(self) -> dict[str, Any]:
        """The rules of the program by the names they have there."""
        return dict(self._program(()).__kwdefaults__ or {})

    @property
    def rules(self) -> pd.DataFrame:
        """Which rule each layer got: a table, a row a layer."""
        import pandas as pd

        rows = []
        for node, rule in self._writer.rules.items():
            folded = self._writer.folded(node)
            rows.append(
                {
                    "layer": self._writer.name(node),
                    "type": self._writer.kind_name(node),
                    "rule": "folded into " + folded if folded else repr(rule),
                }
            )
        return pd.DataFrame(rows, columns=["layer", "type", "rule"]).set_index("layer")

    @property
    def layers(self) -> list[str]:
        """Names that ``at`` and ``layers`` take, in the order of the forward pass."""
        return list(self._trace.named())

    def forward(
        self,
        x: Tensor,
        target: Tensor | int | None = None,
        *,
        layers: Sequence[str] | None = None,
        **rules: Any,
    ) -> Any:
        """Logits and the relevance of the input.

        Parameters
        ----------
        x : Tensor of shape ``(B, *in)``
        target : Tensor, int or None
            Class indices ``(B,)``, one index for all, a start relevance shaped like the
            output, or None for the predicted class.
        layers : sequence of str, optional
            Names of layers whose relevance (of their output) is wanted as well.
        **rules : Rule
            Another setting for a rule of the program, by the name it has there, e.g.
            ``epsilon=Epsilon(0.1)``.

        Returns
        -------
        logits : Tensor of shape (B, C)
            The output of the model, or of the layer ``at``.
        relevance : Tensor of shape ``(B, *in)``
        by_layer : dict of str to Tensor
            Only where ``layers`` are asked for.
        """
        compiling = torch.compiler.is_compiling()
        if self.check and not compiling:
            self._check(x)
        training = self.clean and any(m.training for m in self._modal)
        program = self._program(tuple(layers or ()), training=training)
        x = _fast_layout(x)
        start = self._start(target, self.check and not compiling)
        out, relevance, by_layer = program(self.model, x, start, **rules)
        return (out, relevance) if layers is None else (out, relevance, by_layer)

    def activation(self, x: Tensor) -> Tensor:
        """What relevance would start from: the output of the layer ``at``.

        In evaluation form unless ``clean`` is off, whatever mode the model is in.
        """
        if self.check and not torch.compiler.is_compiling():
            self._check(x)
        if "forward" not in self._programs:
            self._programs["forward"] = self._writer.compile_forward()
        return self._programs["forward"][1](self.model, _fast_layout(x))

    def walk(self, x: Tensor, start: Callable[[Tensor], Tensor]) -> Tensor:
        """Relevance of the input for a start relevance of your own.

        Parameters
        ----------
        x : Tensor of shape ``(B, *in)``
        start : callable
            From the output ``(B, *out)`` to its relevance. For one sample (B = 1) it
            may return several rows ``(M, *out)``, which walk back side by side and
            share every denominator.

        Returns
        -------
        Tensor of shape ``(B, *in)`` or ``(M, *in)``
        """
        return self._program(())(self.model, _fast_layout(x), start)[1]

    def _start(
        self, target: Tensor | int | None, check: bool
    ) -> Callable[[Tensor], Tensor]:
        if self.at is not None and target is None:
            return lambda z: z.float() if z.dtype in _HALF else z
        chosen = start_relevance(self.start, target)

        def start(z: Tensor) -> Tensor:
            if check:
                check_target(target, z.shape)
            return chosen(z.float() if z.dtype in _HALF else z)

        return start

    def ledger(
        self, x: Tensor, target: Tensor | int | None = None, tolerance: float = 0.01
    ) -> pd.DataFrame:
        """Where relevance goes, layer by layer: see :mod:`lrpbook_lib.lrp.ledger`."""
        from .ledger import ledger

        return ledger(self, x, target, tolerance)

    def _check(self, x: Tensor) -> None:
        if not isinstance(x, Tensor):
            raise LRPError(f"x is a {type(x).__name__}; it must be a tensor.")
        if not x.is_floating_point():
            raise LRPError(
                f"x has dtype {x.dtype}; relevance needs floating point: x.float()."
            )
        if x.ndim < 2:
            raise LRPError(
                f"x has shape {tuple(x.shape)}; it needs a batch dimension: x[None]."
            )
        first = next(self.model.parameters(), None)
        if first is not None:
            devices = sorted({str(p.device) for p in self.model.parameters()})
            if len(devices) > 1:
                raise LRPError(
                    f"The model lies on several devices ({', '.join(devices)}); LRP "
                    "walks back on one: model.to(device)."
                )
            dtypes = sorted({str(p.dtype) for p in self.model.parameters()})
            if len(dtypes) > 1 and not torch.is_autocast_enabled(x.device.type):
                raise LRPError(
                    f"The model mixes {' and '.join(dtypes)}; bring it to one, e.g. "
                    "with model.float(), or use autocast."
                )
            if first.device != x.device:
                raise LRPError(
                    f"x is on {x.device} and the model on {first.device}; move one: "
                    f"x.to({str(first.device)!r})."
                )
            autocast = torch.is_autocast_enabled(x.device.type)
            if first.dtype != x.dtype and not autocast:
                raise LRPError(
                    f"x has dtype {x.dtype} and the model {first.dtype}; convert one: "
                    f"x.to({first.dtype})."
                )
        if not bool(torch.isfinite(x).all()):
            bad = (~torch.isfinite(x)).flatten(1).any(1).nonzero().flatten().tolist()
            raise LRPError(
                f"x holds NaN or infinity in sample(s) {bad[:8]}; relevance of these "
                "would be NaN everywhere. Clean the input, e.g. torch.nan_to_num(x)."
            )

    def extra_repr(self) -> str:
        """What print(explainer) shows of the settings."""
        return f"at={self.at!r}, start={self.start!r}, clean={self.clean}"

    def __getstate__(self) -> dict[str, Any]:
        # A program is text compiled on this machine; a copy writes its own.
        gone = ("_trace", "_writer", "_programs", "_modal")
        return {k: v for k, v in self.__dict__.items() if k not in gone}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._prepare()


_HALF = (torch.float16, torch.bfloat16)


def _fast_layout(x: Tensor) -> Tensor:
    """Channels-last on a CPU: convolutions and pooling take half the time."""
    if x.device.type != "cpu" or x.ndim != 4:
        return x
    return x.contiguous(memory_format=torch.channels_last)
