"""timm's own tests of its networks, run over ours: ``python -m tests.models.timms_tests FILE OUTCOMES NAME...``.

FILE is ``tests/test_models.py`` of timm's source distribution. It is parametrized by timm's lists of names, which it
takes when it is imported; here these lists hold our names, as if ``models`` were part of timm. OUTCOMES is a JSON file
that this program writes: by test and name, whether the test passed, failed or was skipped, and if it did not pass, why.
"""

import dataclasses
import json
import sys
from collections import defaultdict
from fnmatch import fnmatch
from pathlib import Path

import pytest
import timm
from timm.models import _registry

import models  # noqa: F401  (registers with timm)
from models.cnn import AlexNet

OURS = ("t2t_vit", "vit", "cnn")
"""modules that register names"""

SIDE = 64
"""pixels, for networks that are built for one size: nothing but their tables of positions depends on it"""

FEW_BLOCKS = (
    ("t2t_vit_dense", {"depth": (1, 1, 1, 1)}),
    ("vit_dense", {"depth": (1, 1, 1)}),
    ("inception_v3_auxiliary", {}),
    ("alexnet", {}),
    *((name, {"layers": (1, 1, 1, 2)}) for name in ("resnet50_ghost", "senet50", "wide_resnet18x1_5")),
    ("*", {"depth": 3}),
)
"""arguments by the first pattern that fits a name: the blocks of a stage differ in nothing but their weights, and
timm's tests look at three features at least"""

SAMPLED = {
    "test_prune_intermediate_layers_contract",
    "test_model_forward_torchscript",
    "test_model_forward_fx_torchscript",
}
"""slow tests, which timm's CI leaves out in part: run over one network of each kind of tokens, blocks and positions"""

OF_EACH_KIND = {
    *("t2t_vit_7", "t2t_vit_7_distilled", "t2t_vit_t_14", "t2t_vit_c_14", "t2t_vit_14_no_t2t"),
    *("t2t_vit_14_se", "t2t_vit_16_ghost", "t2t_vit_dense", "vit_dense"),
    *("alexnet", "resnet50_ghost", "senet50"),  # the other CNNs are timm's classes
}

AFTER_TO_EMPTY = "test_model_init_weights_after_to_empty"
"""a test of four networks that timm names one by one: here of our own class of ViTs, since timm's CNNs fail it, too"""


class OurNames:
    """The plugin of pytest that puts our names into timm's tests, and notes what comes of it.

    Args:
        names: the networks to test.
    """

    def __init__(self, names):
        self.names = names
        self.outcomes = defaultdict(dict)
        self.listed, self.created = timm.list_models, timm.create_model
        timm.list_models, timm.create_model = self.list_models, self.create_model
        timm.list_pretrained = lambda *_, **__: []
        for name in names:
            cfg = _registry._model_pretrained_cfgs[name]
            if cfg.fixed_input_size:
                small = dataclasses.replace(cfg, input_size=(3, SIDE, SIDE))
                _registry._model_pretrained_cfgs[name] = small
                _registry._model_default_cfgs[name].cfgs[""] = small

    def list_models(self, filter="", module="", exclude_filters="", **options):
        """As timm's, of our names: T2T-ViTs are wherever timm's ViTs are, and all where it lists its modules."""
        if "vit_*" in filter:
            filter = [*filter, "t2t_vit_*"]
        if "vit_*" in exclude_filters:
            exclude_filters = [*exclude_filters, "t2t_vit_*"]
        module = OURS if "vision_transformer" in module else module
        found = self.listed(filter=filter, module=module, exclude_filters=exclude_filters, **options)
        return [name for name in self.names if name in found]

    def create_model(self, name, *args, **arguments):
        """As timm's, with few blocks."""
        few = next(few for pattern, few in FEW_BLOCKS if fnmatch(name, pattern))
        return self.created(name, *args, **few | arguments)

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc):
        """Name our networks in a test that has a list of its own."""
        if metafunc.function.__name__ == AFTER_TO_EMPTY:
            metafunc.definition.own_markers[:] = []
            vits = [name for name in self.names if _registry._model_to_module[name] != "cnn"]
            metafunc.parametrize(("model_name", "kwargs"), [(name, {}) for name in vits])

    def pytest_collection_modifyitems(self, config, items):
        """Leave tests of other networks, and add AlexNet to the networks that have layers behind their pooling."""
        for module in {item.module for item in items}:
            module.EARLY_POOL_MODELS += (AlexNet,)
        ours = [item for item in items if _name(item) in names_for(item.originalname, self.names)]
        config.hook.pytest_deselected(items=[item for item in items if item not in ours])
        items[:] = ours

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.when == "call" or not report.passed:
            reason = call.excinfo.exconly() if call.excinfo else ""
            self.outcomes[item.originalname][_name(item)] = [report.outcome, reason]
        return report


def names_for(test, names):
    """The networks among these that a test is run over."""
    return OF_EACH_KIND.intersection(names) if test in SAMPLED else set(names)


def _name(item):
    return item.callspec.params.get("model_name") if hasattr(item, "callspec") else None


def main(file, outcomes, *names):
    """Run the tests; returns pytest's exit code."""
    plugin = OurNames(names)
    options = ["-q", "-W", "ignore", "-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={Path(file).parent}"]
    code = pytest.main([*options, "--tb=no", "--no-header", file], plugins=[plugin])
    Path(outcomes).write_text(json.dumps(plugin.outcomes))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
