"""Classifiers that carry their own map: a trunk at full resolution, pooled globally."""

from .head import GlobalPooling, GPNet
from .recon_resnet import GPReconResNet, ReconResNetTrunk
from .shuffle_unet import GPShuffleUNet, ShuffleUNetTrunk
from .unet import GPUNet, UNetTrunk
