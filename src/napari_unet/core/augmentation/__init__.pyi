from .settings import Augmentation

__all__ = [
    "Augmentation",
]
