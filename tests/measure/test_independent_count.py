"""Every row's params and MACs, counted a second time: by arithmetic on the published architectures, and by others.

No network is built here. Norms count 5 operations an element in transformers and 2 in CNNs, adaptive pooling 1 an
element of its input: fvcore's rates. N tokens with the prefix, D width.
"""

import pytest
from torchvision.models import get_model_weights

from bench.paper import TABLES
from bench.paper.editions import ICCV
from tests.conftest import lines_of
from tests.measure.test_complexity import AUTHORS

PARAMS, MACS = 1e-3, 5e-3
"""relative agreement that is asked for"""


class Count:
    """Params and MACs added up layer by layer."""

    def __init__(self):
        self.params = self.macs = 0

    def linear(self, n_in, n_out, places=1, bias=True):
        self.params += n_in * n_out + (n_out if bias else 0)
        self.macs += n_in * n_out * places

    def norm(self, width, places, rate=5):
        self.params += 2 * width
        self.macs += rate * width * places

    def conv(self, n_in, n_out, kernel, side, groups=1, norm=True, bias=False):
        """A convolution to ``side`` x ``side``, with batch norm behind it."""
        self.params += n_in * n_out * kernel**2 // groups + (n_out if bias else 0)
        self.macs += n_in * n_out * kernel**2 // groups * side**2
        if norm:
            self.norm(n_out, side**2, rate=2)

    def products(self, macs):
        self.macs += macs


# Transformers


def block(count, d, n, *, ratio, kind="plain", bias=False):
    count.norm(d, n)
    if kind == "ghost":
        for _ in range(3):
            count.linear(d, d // 2, n, bias)
            count.linear(1, d // 2, n, bias=False)  # a factor a channel
    else:
        count.linear(d, 3 * d, n, bias)
    count.products(2 * n * n * d)
    count.linear(d, d, n)
    if kind == "se":
        count.linear(d, d // 16, bias=False)
        count.linear(d // 16, d, bias=False)
    count.norm(d, n)
    hidden = int(ratio * d)
    if kind == "ghost":
        count.linear(d, d, n)
        count.linear(1, hidden - d, n, bias=False)
    else:
        count.linear(d, hidden, n)
    count.linear(hidden, d, n)


def performer(count, d, n, c=64, m=32):
    count.norm(d, n)
    count.linear(d, 3 * c, n)
    count.params += m * c
    count.products(2 * n * c * m)  # features of queries and keys
    count.products(2 * n * m * c + n * m)  # keys with values, queries with both sums
    count.linear(c, c, n)
    count.norm(c, n)
    count.linear(c, c, n)
    count.linear(c, c, n)


def transformer(count, d, n, c=64):
    count.norm(d, n)
    count.linear(d, 3 * c, n, bias=False)
    count.products(2 * n * n * c)
    count.linear(c, c, n)
    count.norm(c, n)
    count.linear(c, c, n)
    count.linear(c, c, n)


def vit(d, depth, ratio, *, tokens="patch", kind="plain", bias=False, prefix=1, side=224, stages=(), growth=0):
    count = Count()
    grid = side // 16
    n = grid**2 + prefix
    if tokens == "patch":
        count.conv(3, d, 16, grid, norm=False, bias=True)
    elif tokens == "convolution":
        count.conv(3, 64, 7, side // 4, norm=False, bias=True)
        count.conv(64, 64, 3, side // 8, norm=False, bias=True)
        count.conv(64, d, 3, grid, norm=False, bias=True)
    else:
        layer = {"performer": performer, "transformer": transformer}[tokens]
        layer(count, 147, (side // 4) ** 2)
        layer(count, 576, (side // 8) ** 2)
        count.linear(576, d, grid**2)
    count.params += (n + prefix) * d  # positions and prefix tokens
    for _ in range(depth):
        block(count, d, n, ratio=ratio, kind=kind, bias=bias)
    for stage, blocks in enumerate(stages):
        for _ in range(blocks):
            block(count, d, n, ratio=ratio, bias=bias)
            count.linear(d, growth, n)
            d += growth
        if stage < len(stages) - 1:
            count.linear(d, d // 2, n)
            d //= 2
    count.norm(d, n)
    for _ in range(prefix):
        count.linear(d, 1000)
    return count


# CNNs


def resnet(blocks, *, bottleneck=True, widths=(64, 128, 256, 512), stem="7x7", se=False, ghost=False, cardinality=1):
    count = Count()
    if stem == "7x7":
        count.conv(3, 64, 7, 112)
    else:
        for n_in, n_out in zip((3, *stem), stem, strict=False):
            count.conv(n_in, n_out, 3, 112)
    n_in, side = 64, 56
    for stage, (number, width) in enumerate(zip(blocks, widths, strict=True)):
        for i in range(number):
            before = side
            if stage and not i:
                side //= 2
            n_out = width * (4 if bottleneck else 1)
            if bottleneck:
                inner = width * (2 if cardinality > 1 else 1)
                count.conv(n_in, inner, 1, before)
                if ghost:
                    count.conv(inner, inner // 2, 3, side)
                    count.conv(inner // 2, inner // 2, 3, side, groups=inner // 2)
                else:
                    count.conv(inner, inner, 3, side, groups=cardinality)
                count.conv(inner, n_out, 1, side)
            else:
                count.conv(n_in, width, 3, side)
                count.conv(width, width, 3, side)
            if se:
                count.linear(n_out, n_out // 16)
                count.linear(n_out // 16, n_out)
            if n_in != n_out:
                count.conv(n_in, n_out, 1, side)
            n_in = n_out
    count.products(n_in * side**2)  # the mean over the map
    count.linear(n_in, 1000)
    return count


def mobilenet_v1():
    count = Count()
    count.conv(3, 32, 3, 112)
    n_in, side = 32, 112
    for n_out, stride in [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ]:
        side //= stride
        count.conv(n_in, n_in, 3, side, groups=n_in)
        count.conv(n_in, n_out, 1, side)
        n_in = n_out
    count.products(n_in * side**2)
    count.linear(n_in, 1000)
    return count


def mobilenet_v2(width):
    def scaled(channels):
        rounded = max(8, int(channels * width + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * channels * width else rounded

    count = Count()
    count.conv(3, scaled(32), 3, 112)
    n_in, side = scaled(32), 112
    for expansion, channels, number, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
    ):  # fmt: skip
        for i in range(number):
            hidden = n_in * expansion
            if expansion > 1:
                count.conv(n_in, hidden, 1, side)
            side //= stride if i == 0 else 1
            count.conv(hidden, hidden, 3, side, groups=hidden)
            count.conv(hidden, scaled(channels), 1, side)
            n_in = scaled(channels)
    last = max(1280, scaled(1280))
    count.conv(n_in, last, 1, side)
    count.products(last * side**2)
    count.linear(last, 1000)
    return count


T2T = {"tokens": "performer"}
ARITHMETIC = {
    "vit_s_16": lambda: vit(768, 8, 3),
    "vit_base_patch16_224": lambda: vit(768, 12, 4, bias=True),
    "vit_large_patch16_224": lambda: vit(1024, 24, 4, bias=True),
    "deit_small_patch16_224": lambda: vit(384, 12, 4, bias=True),
    "deit_small_distilled_patch16_224": lambda: vit(384, 12, 4, bias=True, prefix=2),
    "t2t_vit_7": lambda: vit(256, 7, 2, **T2T),
    "t2t_vit_7_distilled": lambda: vit(256, 7, 2, prefix=2, **T2T),
    "t2t_vit_12": lambda: vit(256, 12, 2, **T2T),
    "t2t_vit_12_distilled": lambda: vit(256, 12, 2, prefix=2, **T2T),
    "t2t_vit_14": lambda: vit(384, 14, 3, **T2T),
    "t2t_vit_19": lambda: vit(448, 19, 3, **T2T),
    "t2t_vit_24": lambda: vit(512, 24, 3, **T2T),
    "t2t_vit_t_14": lambda: vit(384, 14, 3, tokens="transformer"),
    "t2t_vit_t_19": lambda: vit(448, 19, 3, tokens="transformer"),
    "t2t_vit_t_24": lambda: vit(512, 24, 3, tokens="transformer"),
    "t2t_vit_c_14": lambda: vit(384, 14, 3, tokens="convolution"),
    "t2t_vit_14_no_t2t": lambda: vit(384, 14, 3),
    "t2t_vit_14_wide": lambda: vit(768, 4, 3, **T2T),
    "t2t_vit_14_wide_no_t2t": lambda: vit(768, 4, 3),
    "t2t_vit_14_se": lambda: vit(384, 14, 3, kind="se", **T2T),
    "t2t_vit_14_resnext": lambda: vit(384, 14, 3, **T2T),
    "t2t_vit_16_ghost": lambda: vit(384, 16, 3, kind="ghost", **T2T),
    "t2t_vit_dense": lambda: vit(128, 0, 2, stages=(3, 6, 6, 4), growth=64, **T2T),
    "vit_dn": lambda: vit(384, 16, 3),
    "vit_sw": lambda: vit(1024, 4, 3.5),
    "vit_dense": lambda: vit(128, 0, 4, stages=(6, 7, 6), growth=64, bias=True),
    "vit_s_16_se": lambda: vit(768, 8, 3, kind="se"),
    "vit_s_16_resnext": lambda: vit(768, 8, 3),
    "vit_s_16_ghost": lambda: vit(768, 8, 3, kind="ghost"),
    "resnet50": lambda: resnet((3, 4, 6, 3)),
    "resnet101": lambda: resnet((3, 4, 23, 3)),
    "resnet152": lambda: resnet((3, 8, 36, 3)),
    "resnext50_32x4d": lambda: resnet((3, 4, 6, 3), cardinality=32),
    "senet50": lambda: resnet((3, 4, 6, 3), stem=(64, 64, 64), se=True),
    "resnet50_ghost": lambda: resnet((3, 4, 6, 3), ghost=True),
    "wide_resnet18x1_5": lambda: resnet((2, 2, 2, 2), bottleneck=False, widths=(96, 192, 384, 768), stem=(32, 32, 64)),
    "mobilenetv1_100": mobilenet_v1,
    "mobilenetv2_100": lambda: mobilenet_v2(1.0),
    "mobilenetv2_140": lambda: mobilenet_v2(1.4),
}

TORCHVISION = {
    "alexnet": "alexnet",
    "vgg11": "vgg11",
    "inception_v3_auxiliary": "inception_v3",
    "densenet201": "densenet201",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "resnet152": "resnet152",
    "resnext50_32x4d": "resnext50_32x4d",
    "vit_base_patch16_224": "vit_b_16",
    "vit_large_patch16_224": "vit_l_16",
}
"""counted by torchvision, without norms and pooling, in the meta data of its weights"""


@pytest.fixture(scope="module")
def rows(measured_once):
    """The measured lines of every table, by table and row."""
    lines = {}
    for number in TABLES:
        lines[number] = lines_of(measured_once[2] / f"table_{number}.csv")
    return lines


CASES = [(number, i, row.network) for number, table in TABLES.items() for i, row in enumerate(table.rows_in(ICCV))]


@pytest.mark.parametrize(("number", "i", "network"), CASES, ids=lambda value: str(value))
def test_a_rows_figures_are_those_of_a_second_count(rows, number, i, network):
    line = rows[number][i]
    params, macs = float(line["params_m"]) * 1e6, float(line["macs_g"]) * 1e9
    counts = 0
    if network.model in ARITHMETIC:
        count = vit(384, 14, 3, side=384, **T2T) if network.img_size == 384 else ARITHMETIC[network.model]()
        assert params == pytest.approx(count.params, rel=PARAMS)
        assert macs == pytest.approx(count.macs, rel=MACS)
        counts += 1
    if network.model in TORCHVISION:
        meta = get_model_weights(TORCHVISION[network.model]).DEFAULT.meta
        assert params == pytest.approx(meta["num_params"], rel=PARAMS)
        assert float(line["torch_macs_g"]) == pytest.approx(meta["_ops"], rel=MACS)
        counts += 1
    if network.model in AUTHORS and network.img_size == 224:
        assert round(params) == AUTHORS[network.model]["params"]
        assert macs == pytest.approx(AUTHORS[network.model]["macs"], rel=1e-5)
        counts += 1
    assert counts, f"nobody else counted {network}"
