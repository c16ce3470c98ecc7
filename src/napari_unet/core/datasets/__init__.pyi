from .label_check import check_labels, repair_labels
from .pairs import Dataset, find_pairs, load_pairs, pairs_from_arrays
from .splits import Split
from .synthetic import synthetic_nuclei

__all__ = [
    "Dataset",
    "Split",
    "check_labels",
    "find_pairs",
    "load_pairs",
    "pairs_from_arrays",
    "repair_labels",
    "synthetic_nuclei",
]
