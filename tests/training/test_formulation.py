"""Formulations of a network: the same parameters, the same values, and one for a whole run."""

import signal
from copy import deepcopy

import pytest
import timm
import torch

from bench.launch import job
from bench.results.run_folder import load_record
from bench.spec.errors import RequestError
from bench.training.formulation import CHANNELS_LAST, LITERAL, choose_formulation, formulations, use_formulation
from bench.training.signals import Stop
from tests.training.test_trainer import assert_same, resources, spec

CNN = {"model": "test_resnet", "model_args": ()}


def layouts(network):
    """Whether each convolution behind the first got its input in channels_last."""
    found = []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(
                lambda _, inputs: found.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
            )
    return found


@pytest.mark.parametrize("model", ["test_resnet", "mobilenetv2_035", "test_efficientnet"])
def test_a_cnn_keeps_channels_last_to_its_end_and_changes_nothing(model):
    torch.manual_seed(0)
    literal = timm.create_model(model, num_classes=10).double().train()
    fast = deepcopy(literal)
    use_formulation(fast, CHANNELS_LAST)
    averaged = deepcopy(fast).float()
    images = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    found = layouts(averaged)
    averaged(images.float())
    assert found
    assert all(found)
    logits = [network(images) for network in (literal, fast)]
    torch.testing.assert_close(*logits, rtol=0, atol=1e-9)
    for each in logits:
        each.logsumexp(1).sum().backward()
    for name, value in fast.state_dict().items():
        assert value.is_contiguous(), name
        torch.testing.assert_close(value, literal.state_dict()[name], rtol=0, atol=1e-9)
    for ours, theirs in zip(fast.parameters(), literal.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-9)
        assert ours.grad.is_contiguous()


@pytest.mark.parametrize(
    ("model", "device_type", "precision", "chosen"),
    [
        ("test_resnet", "cpu", "float32", CHANNELS_LAST),
        ("test_resnet", "cpu", "bfloat16", CHANNELS_LAST),
        ("test_resnet", "cuda", "bfloat16", CHANNELS_LAST),
        ("test_resnet", "cuda", "float32", LITERAL),
        ("test_vit", "cpu", "float32", LITERAL),
        ("t2t_vit_7", "cpu", "bfloat16", "fused"),
        ("t2t_vit_7", "cuda", "bfloat16", LITERAL),
        ("vit_dense", "cpu", "float32", "fused"),
        ("test_vit", "cuda", "bfloat16", LITERAL),
    ],
)
def test_the_choice_is_a_table(model, device_type, precision, chosen):
    assert choose_formulation(timm.create_model(model), device_type, precision) == chosen


def test_what_a_network_cannot_do_is_refused_by_name():
    vit = timm.create_model("test_vit")
    assert formulations(vit) == (LITERAL,)
    with pytest.raises(RequestError, match="has no formulation 'channels_last'; choose from literal"):
        use_formulation(vit, CHANNELS_LAST)


def test_a_network_of_ours_is_told_which():
    network = timm.create_model("t2t_vit_7")
    assert network.formulation is None
    for formulation in formulations(network):
        use_formulation(network, formulation)
        assert network.formulation == network.blocks[0].formulation == formulation
        assert deepcopy(network).formulation == formulation


@pytest.fixture(scope="module")
def undisturbed_cnn(tmp_path_factory):
    folder = job.prepare(tmp_path_factory.mktemp("undisturbed"), small_run())
    job.run(folder, resources(save_every_s=1000), Stop())
    return folder


def small_run():
    return spec("epochs=1", "global_batch=128", "drop_path=0", **CNN)


def interrupted(folder):
    """A run that a signal stopped after its first step."""
    stopped = Stop()
    stopped.signal = signal.SIGTERM
    with pytest.raises(job.RunInterrupted):
        job.run(folder, resources(), stopped)
    return load_record(folder)


def test_a_resumed_run_has_the_same_bits_in_channels_last(undisturbed_cnn, tmp_path):
    folder = job.prepare(tmp_path, small_run())
    assert interrupted(folder).formulation == CHANNELS_LAST
    job.run(folder, resources(save_every_s=1000), Stop())
    assert_same(folder, undisturbed_cnn)
    record = load_record(folder)
    assert [e["formulation"] for e in record.history if e["what"] == "running"] == [CHANNELS_LAST] * 2


def test_a_run_from_before_formulations_goes_on_as_it_began(tmp_path):
    from bench.results.codec import sealed, unsealed

    folder = job.prepare(tmp_path, small_run())
    interrupted(folder)
    path = folder / "record.json"
    values = unsealed(path.read_text())
    del values["formulation"]
    for event in values["history"]:
        event.pop("formulation", None)
    path.write_text(sealed(values))
    job.run(folder, resources(), Stop())
    record = load_record(folder)
    assert record.formulation == LITERAL
    assert [e.get("formulation") for e in record.history if e["what"] == "running"] == [None, LITERAL]
