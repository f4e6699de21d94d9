"""Table 9 (appendix): settings of the CIFAR experiments, as the authors' code and README give them."""

from bench.recipes import CIFAR_TRANSFER
from bench.specs import RecipeTable

TABLE = RecipeTable(number=9, title="Settings of the CIFAR experiments", recipes=(CIFAR_TRANSFER,))
