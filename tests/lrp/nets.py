"""Small networks of every shape that the library promises to explain."""

import torch
import torch.nn.functional as F
from torch import nn


class Plain(nn.Module):
    """Convolution, pooling, dense; a miniature of the paper's network."""

    def __init__(self, channels=2, size=8):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.3),
            nn.Conv2d(4, 5, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(5 * (size // 4) ** 2, 6),
            nn.ReLU(),
            nn.Linear(6, 3),
        )

    def forward(self, x):
        return self.classifier(self.features(x))


class Functional(nn.Module):
    """The same operations as calls, with parameters of its own."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 2, 3, 3) * 0.4)
        self.b = nn.Parameter(torch.randn(4) * 0.1)
        self.v = nn.Parameter(torch.randn(3, 4) * 0.5)
        self.scale = nn.Parameter(torch.tensor(1.3))

    def forward(self, x):
        x = F.conv2d(x, self.w, self.b, stride=1, padding=1)
        x = F.relu(x, True)
        x = F.dropout(x, 0.2, self.training)
        x = F.max_pool2d(x, 2) * self.scale
        x = F.avg_pool2d(x, 2)
        x = x.mean(dim=(2, 3))
        return F.linear(x, self.v)


class Normed(nn.Module):
    """Batch norm behind convolution and dense, and in front of one."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2)
        self.bn2 = nn.BatchNorm2d(4)
        self.bn3 = nn.BatchNorm2d(4)
        self.conv3 = nn.Conv2d(4, 3, 3, stride=2, padding=1, groups=1)
        self.head = nn.Linear(3, 3)
        self.bn4 = nn.BatchNorm1d(3, affine=False)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.up(x)))
        x = F.max_pool2d(x, 3, 2, 1)
        x = self.conv3(F.relu(self.bn3(x)))
        x = F.relu(x).mean((-2, -1))
        return self.bn4(self.head(x))


class Block(nn.Module):
    def __init__(self, inside, outside, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU(inplace=True)
        self.down = None
        if stride != 1 or inside != outside:
            self.down = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False),
                nn.BatchNorm2d(outside),
            )

    def forward(self, x):
        identity = x if self.down is None else self.down(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class SmallResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.layer1 = Block(4, 4)
        self.layer2 = Block(4, 6, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x = self.layer2(self.layer1(F.relu(self.stem(x))))
        return self.fc(torch.flatten(self.pool(x), 1))


class SmallDenseNet(nn.Module):
    """Pre-activation, concatenation, transition with average pooling."""

    def __init__(self, growth=3):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        channels, self.blocks = 4, nn.ModuleList()
        for _ in range(2):
            self.blocks.append(
                nn.Sequential(
                    nn.BatchNorm2d(channels),
                    nn.ReLU(),
                    nn.Conv2d(channels, growth, 3, padding=1, bias=False),
                )
            )
            channels += growth
        self.transition = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, 5, 1, bias=False),
            nn.AvgPool2d(2),
        )
        self.norm = nn.BatchNorm2d(5)
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = torch.cat([x, block(x)], 1)
        x = F.relu(self.norm(self.transition(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class SmallUNet(nn.Module):
    """Down, up by transposed convolution and by interpolation, skips; a segmenter."""

    def __init__(self):
        super().__init__()
        self.enc1 = nn.Conv2d(2, 3, 3, padding=1)
        self.enc2 = nn.Conv2d(3, 4, 3, padding=1)
        self.mid = nn.Conv2d(4, 4, 3, padding="same", padding_mode="reflect")
        self.norm = nn.InstanceNorm2d(4, affine=True)
        self.up2 = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.dec2 = nn.Conv2d(8, 3, 3, padding=1)
        self.up1 = nn.Upsample(scale_factor=2, mode="bilinear")
        self.dec1 = nn.Conv2d(6, 4, 3, padding=1)
        self.out = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        a = F.relu(self.enc1(x))
        b = F.relu(self.enc2(F.max_pool2d(a, 2)))
        c = F.relu(self.norm(self.mid(F.max_pool2d(b, 2))))
        c = F.relu(self.dec2(torch.cat([self.up2(c), b], dim=1)))
        c = F.leaky_relu(self.dec1(torch.cat([self.up1(c), a], dim=1)), 0.1)
        return self.out(c)


class Volume(nn.Module):
    """Three dimensions, no bias in front, as in Graz+."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(1, 3, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.MaxPool3d(2),
            nn.Conv3d(3, 4, 3, stride=2, padding=1, dilation=1),
            nn.ELU(),
        )
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.body(x).amax(dim=(2, 3, 4)))


class Signal(nn.Module):
    """One dimension, chunks, slices, stacks, shuffles, subtraction, constants."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 8, 3, padding=2, dilation=2)
        self.pool = nn.MaxPool1d(2, ceil_mode=True)
        self.gate = nn.Parameter(torch.rand(4, 1) + 0.5)
        self.fc = nn.Linear(8, 3)
        self.register_buffer("offset", torch.tensor(0.2))

    def forward(self, x):
        x = self.pool(F.relu(self.conv(x)))
        left, right = torch.chunk(x, 2, dim=1)
        y = left * self.gate - 0.5 * right + self.offset
        y = torch.stack([y[:, :, :2], y[:, :, 1:3]], dim=1).permute(0, 2, 1, 3)
        y = F.pad(y.reshape(y.size(0), 4, -1), (1, 1)).transpose(1, 2)
        y = torch.sum(y, dim=1, keepdim=False)
        return self.fc(torch.cat([y, y.roll(1, 1) / 2], -1))


class Grouped(nn.Module):
    """Norms that take the statistics of each sample: of groups, of features."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.groups = nn.GroupNorm(2, 4)
        self.deep = nn.Conv2d(4, 5, 3, stride=2)
        self.whole = nn.GroupNorm(1, 5, affine=False)
        self.features = nn.LayerNorm(5)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        x = F.relu(self.groups(self.conv(x)))
        x = F.silu(self.whole(self.deep(x)))
        return self.head(self.features(x.flatten(2).mT).mean(1))


def build(kind, seed=0):
    """A network of that kind in float64 with everything set to general values."""
    torch.manual_seed(seed)
    model = kind().double()
    for m in model.modules():
        own = nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm
        if isinstance(m, own) and m.weight is not None:
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.uniform_(m.bias, -0.3, 0.3)
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats:
            m.running_mean.uniform_(-0.3, 0.3)
            m.running_var.uniform_(0.5, 1.5)
    return model.eval()


SHAPES = {
    Plain: (2, 8, 8),
    Functional: (2, 8, 8),
    Normed: (2, 6, 6),
    SmallResNet: (2, 6, 6),
    SmallDenseNet: (2, 6, 6),
    SmallUNet: (2, 8, 8),
    Volume: (1, 6, 6, 6),
    Signal: (2, 6),
    Grouped: (2, 7, 7),
}


def sample(kind, batch=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, *SHAPES[kind], dtype=torch.float64, generator=generator)
