"""The explainer: a model that answers with its logits and their relevance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from .checks import check_input, check_target, check_trace
from .composite import Composite, composite_named, rules_table
from .errors import LRPError, NeedsInputError, UntraceableModelError
from .ledger import Watch
from .program import Facts, Program, Variant, trace, write
from .start import STARTS, Start, start_relevance

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
        price of one synchronization a call on a GPU, and, in the first call, whether
        the recorded operations compute what the model does. Never while compiling.

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
    On a CPU, images are brought into channels-last layout, which halves the time, and
    where they have no negative entry (as after scaling by percentiles), a rule that
    tells signs apart is spared the negative half in the first layer.
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

    def _prepare(self, example: Tensor | None = None) -> None:
        """Trace the model, or wait for an input where that is not possible."""
        self._confirmed: set[bool] = set()
        self._programs: dict[Variant, Program] = {}
        self._ready = False
        self._waits: UntraceableModelError | None = None
        try:
            self._facts = Facts(trace(self.model, example), self.at)
        except UntraceableModelError as error:
            self._waits = error
            if example is None and isinstance(error, NeedsInputError):
                return
            raise
        self._rules = self.composite.assign(self._facts)
        self._switches = self._facts.switches
        self._ready = True
        self._program(Variant())
        self._program(Variant(training=True))  # not while torch.compile is looking

    def _at_hand(self, x: Tensor) -> None:
        """Have a program that holds for this input and does what the model does."""
        shape = self._facts.trace.shape if self._ready else ()
        if shape is not None and shape != tuple(x.shape[1:]):
            if torch.compiler.is_compiling():
                raise UntraceableModelError(
                    "What this model runs is recorded from an input of this shape: "
                    "call the explainer with one before torch.compile does."
                )
            self._prepare(x)
        if self.check and not torch.compiler.is_compiling():
            self._confirm(x)

    @property
    def captured(self) -> str:
        """Which way the operations were recorded."""
        self._needed()
        return self._facts.trace.captured

    def _needed(self) -> None:
        if self._waits is not None:
            raise self._waits

    def _program(self, variant: Variant) -> Program:
        self._needed()
        if variant not in self._programs:
            self._programs[variant] = write(
                self._facts, self._rules, variant, live=not self.clean
            )
        return self._programs[variant]

    @property
    def program(self) -> str:
        """The program that runs: forward and relevance pass as readable Python."""
        return self._program(Variant()).text

    @property
    def program_rules(self) -> dict[str, Any]:
        """The rules of the program by the names they have there."""
        return dict(self._program(Variant()).rules)

    @property
    def rules(self) -> pd.DataFrame:
        """Which rule each layer got: a table, a row a layer."""
        self._needed()
        return rules_table(self._facts, self._rules)

    @property
    def layers(self) -> list[str]:
        """Names that ``at`` and ``layers`` take, in the order of the forward pass."""
        self._needed()
        return list(self._facts.trace.named)

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
            check_input(x, self.model)
        self._at_hand(x)
        training = self.clean and self.in_training
        x = _fast_layout(x)
        variant = Variant(
            tuple(layers or ()), training=training, nonnegative=_nonnegative(x)
        )
        program = self._program(variant)
        start = self._start(target, self.check and not compiling)
        out, relevance, by_layer = program.run(self.model, x, start, **rules)
        return (out, relevance) if layers is None else (out, relevance, by_layer)

    def _confirm(self, x: Tensor) -> None:
        """Once a mode: what was recorded is what the model computes.

        Where a trace without data went another way than the model, one run on the
        input is recorded instead.
        """
        whole = self._facts.trace.output.args[0]
        training = any(module.training for module in self.model.modules())
        if not len(x) or not isinstance(whole, fx.Node):
            return  # of several outputs there is none to compare
        for form in {False, training} - self._confirmed:
            facts, variant = Facts(self._facts.trace), Variant(forward_only=True)
            program = write(facts, {}, variant, form or not self.clean)
            try:
                check_trace(self.model, program.run, x, form)
            except UntraceableModelError:
                if form or self._facts.trace.shape is not None:
                    raise
                self._prepare(x)
                return self._confirm(x)
            self._confirmed.add(form)
        return None

    def activation(self, x: Tensor) -> Tensor:
        """What relevance would start from: the output of the layer ``at``.

        In evaluation form unless ``clean`` is off, whatever mode the model is in.
        """
        if self.check and not torch.compiler.is_compiling():
            check_input(x, self.model)
        self._at_hand(x)
        program = self._program(Variant(forward_only=True))
        return program.run(self.model, _fast_layout(x))

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
        self._at_hand(x)
        x = _fast_layout(x)
        program = self._program(Variant(nonnegative=_nonnegative(x)))
        return program.run(self.model, x, start)[1]

    def _start(
        self, target: Tensor | int | None, check: bool
    ) -> Callable[[Tensor], Tensor]:
        chosen = start_relevance(self.start, target)

        def start(z: Tensor) -> Tensor:
            z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
            if self.at is not None and target is None:
                return z
            if check:
                check_target(target, z.shape)
            return chosen(z)

        return start

    @torch.no_grad()
    def ledger(
        self, x: Tensor, target: Tensor | int | None = None, tolerance: float = 0.01
    ) -> pd.DataFrame:
        r"""Relevance that goes into and out of each layer, and who keeps the rest.

        Parameters
        ----------
        x : Tensor of shape ``(B, *in)``
        target : Tensor, int or None
            As for a call. Sums are over the batch.
        tolerance : float
            Share of a layer's relevance that may stand before degenerate denominators
            (or stay unexplained) before the alarm says so.

        Returns
        -------
        DataFrame
            A row a layer in the order of the walk, from the output to the input.
            ``relevance_out`` is the relevance of the layer's output (what the walk
            brings), ``relevance_in`` that of its input (what the walk takes on), and

            .. math:: out = in + bias + stabilizer + unexplained

            holds in every row. ``degenerate`` is the share of :math:`\sum |R|` in front
            of denominators no larger than their stabilizer. A row ``total`` stands
            last.
        """
        if self.check:
            check_input(x, self.model)
        self._at_hand(x)
        watch = Watch()
        start = watch.start(self._start(target, self.check))
        program = self._program(Variant(watched=True))
        _, relevance, _ = program.run(self.model, x, start, watch)
        return watch.table(float(relevance.double().sum()), tolerance)

    @property
    def in_training(self) -> bool:
        """Whether a dropout or batch norm acts otherwise than in evaluation."""
        return self._ready and any(m.training for m in self._switches)

    def extra_repr(self) -> str:
        """What print(explainer) shows of the settings."""
        return f"at={self.at!r}, start={self.start!r}, clean={self.clean}"

    def __getstate__(self) -> dict[str, Any]:
        # A program is text compiled on this machine; a copy writes its own.
        gone = ("_facts", "_rules", "_switches", "_programs", "_confirmed", "_waits")
        return {k: v for k, v in self.__dict__.items() if k not in gone}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._prepare()


def _fast_layout(x: Tensor) -> Tensor:
    """Channels-last on a CPU: convolutions and pooling take half the time."""
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim)
    if x.device.type != "cpu" or layout is None:
        return x
    return x.contiguous(memory_format=layout)


def _nonnegative(x: Tensor) -> bool:
    """Whether no entry is negative; asked where a look is cheap and allowed."""
    if x.device.type != "cpu" or torch.compiler.is_compiling() or not x.numel():
        return False
    return bool(x.amin() >= 0)
