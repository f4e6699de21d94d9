"""Changes of the authors' own numbers and training code between the editions, with their sources.

The commits are of yitu-opensource/T2T-ViT. What follows from them is an inference, and is marked as one.
"""

COMMITS = "https://github.com/yitu-opensource/T2T-ViT/commit/"

TRAINING_CHANGES = (
    "On 2021-03-02 the authors changed the defaults of their training script: mixup from 0.2 to 0.8, random erasing "
    f"from 0 to 0.25, dropout from 0.1 to 0, warm-up from 3 to 5 epochs ([70ffcf2]({COMMITS}70ffcf2)). The same day "
    f"they listed 81.5 % for T2T-ViT-14 ([7da89bf]({COMMITS}7da89bf)). Warm-up grew to 10 epochs on 2021-05-09 "
    f"([45ea8ef]({COMMITS}45ea8ef)), after these numbers. (The defaults of learning rate and batch size changed, "
    "too, but the README's command for T2T-ViT-14 sets both, to values that did not change.)"
)

INFERENCE = (
    "This is an inference: the authors may also have retrained the CNNs and reached identical accuracies. The paper "
    "does not say."
)

EXPERIMENT = (
    "Training would settle it. T2T-ViT-14 and ResNet50 can each be trained by today's recipe, as for the rows of "
    "Table 3, and by the one from before 2021-03-02 (`t2t_medium_january` and `cnn_t2t_january` in "
    "`bench/experiments/recipes.py`). This command shows what the runs would cost:"
)
