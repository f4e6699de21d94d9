"""Dead channels over many images, counted once more layer by layer and image by image."""

import dataclasses
import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import bench.cli.main
import models  # noqa: F401  (registers with timm)
from bench.experiments.scales import SMOKE
from bench.measure import dead_channels
from bench.measure.dead_channels import count, count_of_run, evenly_spaced
from bench.results.feature_maps import FeatureSource
from bench.results.record import Fingerprint
from bench.spec.class_names import CIFAR_CLASSES
from bench.spec.errors import RequestError
from bench.spec.run import RunSpec, Weights
from bench.training import data
from bench.training.data import Synthetic
from models.checkpoints import read_checkpoint
from tests.report.test_frame import trained

SIDE = 32
TINY = {"embed_dim": 64, "depth": 2, "num_heads": 2}


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    """More than a batch, and no multiple of one."""
    monkeypatch.setattr(dead_channels, "IMAGES", 40)


def t2t_vit():
    """Two channels of the residual stream are zero."""
    network = timm.create_model("t2t_vit_7", num_classes=100, img_size=SIDE, **TINY)
    with torch.no_grad():
        network.pos_embed[..., [3, 40]] = 0
        last = [network.tokens_to_token.project, *(part for b in network.blocks for part in (b.attn.proj, b.mlp.fc2))]
        for layer in last:
            layer.weight[[3, 40]] = 0
            layer.bias[[3, 40]] = 0
    return network, TINY


def resnet():
    """A ReLU leaves some channels zero on some images."""
    network = timm.create_model("resnet10t", num_classes=100)
    with torch.no_grad():
        network.bn1.bias.copy_(torch.linspace(-1.5, 0.5, len(network.bn1.bias)))
    return network, {}


def counted(network, arguments, tmp_path, images):
    """Counts of a network's weights in a file."""
    model = "resnet10t" if not arguments else "t2t_vit_7"
    spec = RunSpec(
        model=model,
        model_args=tuple(arguments.items()),
        dataset="synthetic",
        recipe=SMOKE.recipe,
        img_size=SIDE,
        seed=0,
    )
    torch.save({"network": network.state_dict()}, tmp_path / "weights.pth")
    checkpoint = read_checkpoint(tmp_path / "weights.pth")
    source = FeatureSource(network=spec.network, weights=Weights(file="weights.pth", sha256=checkpoint.sha256))
    transform = data.eval_transform(spec.recipe, SIDE, data.KNOWN["synthetic"])
    return count(source, checkpoint, transform, "synthetic", images)


def record(spec, val_sha256):
    fingerprint = Fingerprint(
        basis="generated",
        classes=100,
        class_names=(),
        train_images=10,
        val_images=10,
        train_sha256="0" * 64,
        val_sha256=val_sha256,
    )
    return dataclasses.replace(trained(spec.run_id), fingerprint=fingerprint)


@pytest.mark.parametrize(("make", "prefix_tokens"), [(t2t_vit, 1), (resnet, 0)])
def test_counts_are_those_of_each_image_and_layer_alone(make, prefix_tokens, tmp_path):
    torch.manual_seed(0)
    network, arguments = make()
    images = Synthetic("val")
    found = counted(network, arguments, tmp_path, images)
    network.eval()
    assert found.images == evenly_spaced(len(images))
    for layer in found.layers:
        skipped = prefix_tokens if "blocks" in layer.name else 0
        seen = []
        hook = network.get_submodule(layer.name).register_forward_hook(lambda m, i, o, seen=seen: seen.append(o[0]))
        for index in found.images:
            pixels = (np.asarray(images[index][0]) / 255 - 0.5) / 0.25
            with torch.no_grad():
                network(torch.from_numpy(pixels).float().permute(2, 0, 1)[None])
        hook.remove()
        values = [v.flatten(1).T if v.ndim == 3 else v[skipped:] for v in seen]  # (positions, C)
        dead = torch.stack([v.abs().amax(0) <= 0.01 * v.square().mean().sqrt() for v in values])
        assert layer.dead == tuple(dead.sum(1).tolist()), layer.name
        assert layer.always_dead == int(dead.all(0).sum())
    assert 0 < found.always_dead_pct <= found.dead_pct
    if make is resnet:
        assert len(set(found.shares)) > 1
    else:
        blocks = [layer for layer in found.layers if layer.name.startswith("blocks")]
        assert [layer.always_dead for layer in blocks] == [2, 2]


def test_images_that_the_run_was_not_tested_on_are_refused(tmp_path):
    spec = RunSpec(model="resnet10t", dataset="synthetic", recipe=SMOKE.recipe, img_size=SIDE, seed=0)
    with pytest.raises(RequestError, match="synthetic here has other test images than those of the run; give its own"):
        count_of_run(spec, record(spec, "1" * 64), tmp_path, Synthetic("val"))


@pytest.mark.parametrize(("size", "indices"), [(3, (0, 1, 2)), (40, tuple(range(40))), (80, tuple(range(1, 80, 2)))])
def test_images_are_evenly_spaced(size, indices):
    assert evenly_spaced(size) == indices


@pytest.fixture
def cifar(tmp_path):
    """CIFAR-10 as class folders with 5 test images a class."""
    generator = np.random.RandomState(0)
    for name in CIFAR_CLASSES["cifar10"]:
        folder = tmp_path / "data" / "cifar10" / "test" / name
        folder.mkdir(parents=True)
        for i in range(5):
            Image.fromarray(generator.randint(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "data"


def test_figure_2_counts_over_test_images_once_for_each_file(cifar, tmp_path, capsys):
    """A network with two dead channels in each block, and one without."""
    torch.manual_seed(0)
    for name in ("dead", "alive"):
        network = timm.create_model("t2t_vit_7", num_classes=10, img_size=SIDE)
        with torch.no_grad():
            if name == "dead":
                network.pos_embed[..., [3, 40]] = 0
                blocks = [part for b in network.blocks for part in (b.attn.proj, b.mlp.fc2)]
                for layer in [network.tokens_to_token.project, *blocks]:
                    layer.weight[[3, 40]] = 0
                    layer.bias[[3, 40]] = 0
        torch.save(network.state_dict(), tmp_path / f"{name}.pth")

    def figure(*options):
        folders = ("--runs", tmp_path / "runs", "--reports", tmp_path / "reports")
        code = bench.cli.main.main([str(word) for word in ("figure", "2", *options, *folders)])
        return code, capsys.readouterr().err

    files = [tmp_path / "dead.pth", tmp_path / "alive.pth"]
    code, _ = figure("--weights", *files)
    assert code == 0
    assert "over test images" not in (tmp_path / "reports" / "figure_2.md").read_text()

    code, told = figure("--weights", *files, "--data", cifar)
    assert code == 0, told
    assert len([line for line in told.splitlines() if "channels dead on an image" in line]) == 2
    page = (tmp_path / "reports" / "figure_2.md").read_text()
    kept = {}
    for path in (tmp_path / "reports" / "evidence" / "dead_channels").iterdir():
        found = json.loads(path.read_text())
        kept[found["source"]["weights"]["file"]] = found
        assert found["dataset"] == "cifar10"
        assert found["images"] == list(evenly_spaced(50))
        dead, channels = (sum(np.sum(layer[what]) for layer in found["layers"]) for what in ("dead", "channels"))
        shares = 100 * np.sum([layer["dead"] for layer in found["layers"]], axis=0) / channels
        assert shares.mean() == pytest.approx(100 * dead / channels / 40)
        error = shares.std(ddof=1) / 40**0.5
        (line,) = (line for line in page.splitlines() if path.name in line)
        assert f"| 40 of cifar10 | {shares.mean():.2f} ± {error:.2f} |" in " ".join(line.split())
    for name, always in (("dead", 2), ("alive", 0)):
        blocks = [layer for layer in kept[f"{name}.pth"]["layers"] if layer["name"].startswith("blocks")]
        assert [layer["always_dead"] for layer in blocks] == [always] * 7

    files[0].unlink()
    code, told = figure("--weights", files[1], "--data", cifar)  # nothing is counted again
    assert (code, "dead on an image" in told) == (0, False)
