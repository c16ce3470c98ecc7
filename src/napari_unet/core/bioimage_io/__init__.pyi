from .export import export_bioimage_io
from .import_package import import_bioimage_io

__all__ = [
    "export_bioimage_io",
    "import_bioimage_io",
]
