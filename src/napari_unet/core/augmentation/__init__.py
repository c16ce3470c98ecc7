"""TODO: augmentation."""
