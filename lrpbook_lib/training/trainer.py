"""The trainer: epochs of guided training, with a history, on one machine or many."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from lrpbook_lib.attribution import chance_level, explainer, tumor_lrp_score
from lrpbook_lib.attribution.maps import evaluation_form
from lrpbook_lib.files import cpu_seconds, progress, quiet
from lrpbook_lib.guidance import CrossEntropy
from lrpbook_lib.guidance.loss import cross_entropy
from lrpbook_lib.lrp import Explainer

from .batches import TrainLoader, ordered_loader, seed_epoch
from .callbacks import Callback
from .checkpoint import TrainState
from .finite import Watch
from .gradients import cut, descend, gradients
from .groups import Weigher
from .measures import Tally
from .memory import AxisOrder, channels_last
from .metrics import summarize
from .parts import check_labels, parts_of, pieces_of, prediction_table
from .settings import Hardware, TrainSettings
from .share import guided_rows, passes, tell, widened


class Trainer:
    """Train a model under a guidance loss.

    Logits come from the training pass, dropout on; maps come from the same weights with
    dropout off. The loss of a batch is the mean over its samples, whatever the number
    of processes. With a folder, every epoch ends with a checkpoint; the same call again
    goes on from there, to the same numbers (bit for bit on a CPU).

    Parameters
    ----------
    model : nn.Module
        Trained in place.
    loss : CrossEntropy or another guidance loss
    settings : TrainSettings
    folder : path, optional
        For checkpoints and what callbacks write.
    callbacks : sequence of Callback
    hardware : Hardware

    Examples
    --------
    >>> trainer = Trainer(GliomaCNN(size=96), LRPLoss(1), TrainSettings(epochs=5))
    >>> trainer.fit(slices.subset(train), slices.subset(test))
    >>> trainer.predict(slices.subset(test)).groupby("label")["score"].mean()
    """

    def __init__(
        self,
        model: nn.Module,
        loss: CrossEntropy | None = None,
        settings: TrainSettings | None = None,
        folder: str | Path | None = None,
        callbacks: Sequence[Callback] = (),
        hardware: Hardware | None = None,
    ) -> None:
        self.model = model
        self.loss = loss if loss is not None else CrossEntropy()
        self.settings = settings or TrainSettings()
        self.hardware = hardware or Hardware()
        self.folder = Path(folder) if folder is not None else None
        self.callbacks = list(callbacks)
        self.rows: list[dict[str, Any]] = []
        self.state: TrainState | None = None
        h, s = self.hardware, self.settings
        s.warn_of_no_guidance(self.loss)
        self.explainer = self.loss.explainer(model, s.composite, s.start)
        lrp = isinstance(self.explainer, Explainer)
        if h.compile and not lrp and self.loss.attribution != "none":
            raise ValueError(
                f"{type(self.loss).__name__} differentiates a gradient, which "
                "torch.compile cannot: use Hardware(compile=False)."
            )
        # It need not look at every batch: the trainer does.
        judge = s.judge or s.composite
        self.judge = explainer(model, judge, start=s.start, check=False)
        # LRP draws in the order of the memory, which channels_last does not change.
        self._drawing = nullcontext() if lrp or h.compile else AxisOrder()
        self.fabric = Fabric(
            accelerator=h.accelerator,
            devices=h.devices,
            num_nodes=h.nodes,
            strategy=h.strategy,
            precision=h.precision,
        )
        self.fabric.launch()
        self._place = self.fabric.global_rank, self.fabric.world_size
        self._gpu = self.fabric.device.type == "cuda"

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch: see :class:`~lrpbook_lib.training.measures.Tally`."""
        rows = pd.DataFrame(self.rows)
        return rows.set_index("epoch") if len(rows) else rows

    def fit(self, train: Any, validation: Any | None = None) -> pd.DataFrame:
        """Train, or go on training, and return the history.

        Parameters
        ----------
        train : Dataset
            Items are dictionaries: ``image`` ``(C, *space)``, ``label``, ``tumor``
            ``(*space)``, zeros where unknown, and ``brain`` ``(*space)``; a
            :class:`~lrpbook_lib.data.SliceSet` is one. With a method ``batch``, from
            positions to such a dictionary of a batch, it loads faster.
        validation : Dataset or mapping of str to Dataset, optional
            Evaluated after every epoch, for columns ``val_*``, or by their names.

        Returns
        -------
        DataFrame
            A row an epoch.
        """
        s, fabric = self.settings, self.fabric
        if not len(train):
            raise ValueError("There are no samples to train on.")
        if fabric.world_size > 1:  # all start from the first one's weights
            self.model.load_state_dict(fabric.broadcast(self.model.state_dict()))
        self.model.to(fabric.device)
        optimizer = s.make_optimizer(self.model.parameters())
        modules: tuple[Any, Any] = self.explainer, self.model
        if self.hardware.compile:
            modules = torch.compile(modules[0]), torch.compile(modules[1])
        tests = validation if isinstance(validation, Mapping) else {"val": validation}
        tests = {name: data for name, data in tests.items() if data is not None}
        given = (*self._place, s.augment, self.hardware.workers, self._gpu)
        loader = TrainLoader(train, s.batch_size, s.seed, *given)
        state = TrainState.begin(self.model, self.loss, s, train)
        self.state = state
        path = self.folder / "checkpoint.safetensors" if self.folder else None
        if path is not None and path.exists():
            state.load(path, self.model, optimizer)
        self.rows = state.rows
        weigh = Weigher(s.groups, train, self.rows)
        first, done = fabric.global_rank == 0, len(self.rows)
        silent = quiet() or not first
        bar = progress(s.epochs, done, "epochs", disable=silent, leave=False)
        # Seeds set within leave the random numbers of the caller as they were.
        gpu = [fabric.device] if self._gpu else []
        with bar, torch.random.fork_rng(gpu):
            while len(self.rows) < s.epochs:
                began, spent = time.perf_counter(), cpu_seconds()
                epoch = len(self.rows)
                seed_epoch(s.seed, epoch, fabric.global_rank)
                row = self._epoch(epoch, loader, modules, optimizer, weigh)
                row |= weigh.row()
                for name, data in tests.items():
                    row |= {f"{name}_{k}": v for k, v in self.evaluate(data).items()}
                row |= {"seconds": time.perf_counter() - began}
                self.rows.append(row | {"cpu_seconds": cpu_seconds() - spent})
                if first:
                    for callback in self.callbacks:
                        callback.epoch_end(self)
                    if path is not None:
                        state.save(path, self.model, optimizer)
                fabric.barrier()
                bar.update()
        return self.history

    def _epoch(
        self,
        epoch: int,
        loader: TrainLoader,
        modules: tuple[Any, Any],
        optimizer: Any,
        weigh: Weigher,
    ) -> dict[str, Any]:
        """One pass over the training data: the row of the history that tells of it."""
        self.explainer.train()
        s, schedule, fabric = self.settings, self.settings.schedule, self.fabric
        limit = s.limit if self.loss.limited else None
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        watch = Watch(self.model, self.folder, self._place[0], self._gpu)
        tally, factor, steps = Tally(), 0.0, len(loader.batches)
        for step, (size, batch) in enumerate(loader.epoch(epoch)):
            factor = schedule(epoch + step / steps)
            loss = self.loss.scaled(factor)
            guided = loss.attribution != "none"
            apart = guided and (limit is not None or step == 0)
            rows, whole = guided_rows(size, s.guided, *self._place)
            total, parts = torch.zeros((), device=fabric.device), list[Tensor]()
            for piece in pieces_of(batch, s.accumulate):
                x, label, *masks = self._parts(piece, loss.wants if guided else ())
                target = label if s.explain == "label" else None
                part = guided and whole < size
                with self._drawing, fabric.autocast():
                    if part:
                        made = passes(*modules, x, target, rows)
                    else:
                        made = modules[0](x, target)
                check_labels(piece, made[0].shape[1])
                # Compiled, all passes back must be of one kind.
                leaves = cut(made, factor > 0 or self.hardware.compile)
                logits, relevance = leaves
                seen = (logits, label, relevance, *masks)
                if part:
                    told = tell(loss, *seen, whole=whole, size=size, fabric=fabric)
                else:
                    told = loss.tell(*seen)
                weight = weigh(piece, told.ce, fabric)
                value = (weight * told.loss).sum() * (fabric.world_size / size)
                found = gradients(value, leaves, made, parameters, apart=apart)
                parts = list(map(torch.add, parts, found)) or found
                total = total + value.detach()
                watch.map(relevance)
                tally.add(loss, told, logits.argmax(1) == label, *masks)
            limited = widened(limit, size / whole)
            norm, shares = descend(
                parts, parameters, fabric, limit=limited, clip=s.clip
            )
            watch.step(total, norm, batch, epoch=epoch, step=step)
            optimizer.step()
            tally.step(norm, shares)
        watch.end()
        return {"epoch": epoch, "strength": factor, **tally.row(self.fabric)}

    @torch.no_grad()
    def predict(self, data: Any) -> pd.DataFrame:
        """What the model says of each sample, and where it looks.

        Returns
        -------
        DataFrame
            A row a sample, in the order of the data: ``label``, ``predicted``, ``p_0``
            and so on, ``ce``, ``score`` (tumor score of the true class, rules of
            ``judge``), ``chance``; ``patient`` and ``site`` where the data knows them.
        """
        fabric = self.fabric
        self.model.to(fabric.device)
        given = (*self._place, self.hardware.workers)
        loader = ordered_loader(data, self.settings.batch_size, *given)
        found = []
        for batch in loader:
            x, label, mask, brain = self._parts(batch, ("tumor", "brain"))
            logits, relevance = self._judged(x, label)
            check_labels(batch, logits.shape[1])
            columns = [
                batch["index"].to(logits.device),
                label,
                cross_entropy(logits, label),
                tumor_lrp_score(relevance, mask, brain),
                chance_level(mask, brain),
            ]
            table = torch.stack([column.double() for column in columns], 1)
            found.append(torch.cat([table, logits.double().softmax(1)], 1))
        if not found:
            raise ValueError("There are no samples to predict.")
        every: Any = fabric.all_gather(torch.cat(found))
        columns = every.reshape(-1, found[0].shape[1]).cpu().numpy()
        return prediction_table(columns, data)

    def evaluate(self, data: Any) -> dict[str, float]:
        """Accuracy, AUC and scores: :func:`~lrpbook_lib.training.summarize`."""
        return summarize(self.predict(data), getattr(data, "classes", None))

    @torch.no_grad()
    def explain(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and relevance of images under the rules of ``judge``, on the CPU.

        Parameters
        ----------
        images : Tensor of shape ``(B, C, *space)``
        labels : Tensor of shape (B,)
        """
        x, labels = self._parts({"image": images, "label": labels}, ())
        logits, relevance = self._judged(x, labels)
        return logits.float().cpu(), relevance.float().cpu()

    def _judged(self, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        with self.fabric.autocast(), evaluation_form(self.model):
            return self.judge(x, label)

    def need_folder(self, what: str) -> Path:
        """The folder, for something that cannot do without one."""
        if self.folder is None:
            raise ValueError(f"{what} writes files: give the Trainer a folder.")
        return self.folder

    def _parts(
        self, batch: Mapping[str, Tensor], wants: Sequence[str]
    ) -> tuple[Any, ...]:
        """Image, label and what is wanted of a batch, on the device."""
        image, *rest = map(self.fabric.to_device, parts_of(batch, wants))
        return channels_last(image) if self.hardware.channels_last else image, *rest
