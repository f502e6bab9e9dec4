"""zennit as an oracle, where it can be had; it is no dependency of this project."""

import contextlib
import importlib
import sys
import types


def zennit():
    """The zennit package, or None. It imports torchvision for two class names only."""
    with contextlib.suppress(ImportError):
        import torchvision  # noqa: F401

        return _modules()
    names = ("torchvision", "torchvision.models", "torchvision.models.resnet")
    for name in (*names, "torchvision.models.vgg"):
        sys.modules[name] = types.ModuleType(name)
    resnet = sys.modules["torchvision.models.resnet"]
    resnet.Bottleneck = resnet.BasicBlock = type("Block", (), {})
    try:
        return _modules()
    except ImportError:
        return None
    finally:
        for name in (*names, "torchvision.models.vgg"):
            sys.modules.pop(name, None)


def _modules():
    return types.SimpleNamespace(
        **{
            name: importlib.import_module(f"zennit.{name}")
            for name in ("attribution", "canonizers", "composites", "rules")
        }
    )
