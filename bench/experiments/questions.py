"""The study's questions: for each of the paper's claims, contests between arms whose outcome the paper predicts."""

from bench.experiments.arms import FEWER_PCT, ON_FEWER
from bench.experiments.study import Contest, Question


def _beats(arm: str, *others: str, beside: bool = False) -> tuple[Contest, ...]:
    return tuple(Contest(arm=arm, against=other, expects="better", beside=beside) for other in others)


def _changes(expects: str, *pairs: tuple[str, str]) -> tuple[Contest, ...]:
    return tuple(Contest(arm=arm, against=other, expects=expects) for arm, other in pairs)


def _tokens(performer: str, transformer: str, convolutions: str, patches: str) -> Question:
    return Question(
        key="4",
        text="The T2T module beats the same backbone on patches; convolutions in its place do worse",
        contests=(
            *_beats(performer, patches),
            *_beats(transformer, patches),
            *_changes("worse", (convolutions, performer), (convolutions, transformer)),
        ),
    )


SMALL_QUESTIONS = (
    Question(
        key="1",
        text="T2T-ViT-7 beats a plain ViT of about twice its params",
        contests=_beats("t2t_vit_7", "vit_s"),
    ),
    Question(
        key="2",
        text="T2T-ViT-7 beats a ResNet of similar size, trained alike",
        contests=_beats("t2t_vit_7", "resnet10t"),
    ),
    Question(
        key="3",
        text="T2T-ViT-7 beats a MobileNetV2 of similar size",
        contests=(*_beats("t2t_vit_7", "mobilenetv2_140"), *_beats("t2t_vit_7", "mobilenetv2_100", beside=True)),
    ),
    _tokens("t2t_vit_7", "t2t_vit_t_7", "t2t_vit_c_7", "t2t_vit_7_patches"),
    Question(
        key="5",
        text="A deep and narrow T2T-ViT beats a shallow and wide one of similar size",
        contests=_beats("t2t_vit_7", "t2t_vit_wide"),
    ),
    Question(
        key="6",
        text="Squeeze-and-excitation helps ViT and T2T-ViT",
        contests=_changes("better", ("vit_s_se", "vit_s"), ("t2t_vit_7_se", "t2t_vit_7")),
    ),
    Question(
        key="7",
        text="Dense connections hurt ViT and T2T-ViT",
        contests=_changes("worse", ("vit_dense", "vit_s"), ("t2t_vit_dense", "t2t_vit_7")),
    ),
    Question(
        key="8",
        text="32 heads change little",
        contests=_changes("alike", ("vit_s_resnext", "vit_s"), ("t2t_vit_7_resnext", "t2t_vit_7")),
    ),
    Question(
        key="9",
        text="Ghost costs ResNet, T2T-ViT and ViT accuracy",
        contests=_changes(
            "worse",
            ("resnet50_ghost", "resnet50"),
            ("t2t_vit_7_ghost", "t2t_vit_7"),
            ("vit_s_ghost", "vit_s"),
        ),
    ),
    Question(
        key="10",
        text="Fine-tuned on CIFAR-10, T2T-ViT-7 beats a plain ViT of about twice its params",
        contests=_beats("t2t_vit_7_cifar10", "vit_s_cifar10"),
    ),
    Question(
        key="11",
        text="A plain ViT has more dead channels than a ResNet",
        contests=(
            Contest(arm="vit_s", against="resnet10t", expects="more"),
            Contest(arm="vit_s", against="t2t_vit_7", expects="more", beside=True),
        ),
    ),
    Question(
        key="images",
        text="With fewer images but as many steps, does T2T-ViT-7 still beat the others?",
        contests=tuple(
            Contest(arm=f"t2t_vit_7_{pct}pct", against=f"{key}_{pct}pct", expects="better", beside=True)
            for pct in FEWER_PCT
            for key in ON_FEWER
            if key != "t2t_vit_7"
        ),
    ),
)

IMAGENET_QUESTIONS = (
    Question(key="1", text="T2T-ViT-14 beats ViT-S/16", contests=_beats("t2t_vit_14", "vit_s_16")),
    Question(key="2", text="T2T-ViT-14 beats ResNet50, trained alike", contests=_beats("t2t_vit_14", "resnet50")),
    _tokens("t2t_vit_14", "t2t_vit_t_14", "t2t_vit_c_14", "t2t_vit_14_no_t2t"),
    Question(
        key="11",
        text="ViT-S/16 has more dead channels than ResNet50",
        contests=(Contest(arm="vit_s_16", against="resnet50", expects="more"),),
    ),
)

SMOKE_QUESTIONS = (
    Question(
        key="4",
        text="The T2T module beats the same tiny backbone on patches",
        contests=_beats("tiny_t2t", "tiny_patches"),
    ),
    Question(
        key="11",
        text="Patches leave more channels dead in the same tiny backbone",
        contests=(Contest(arm="tiny_patches", against="tiny_t2t", expects="more"),),
    ),
)
