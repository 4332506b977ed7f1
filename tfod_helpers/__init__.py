"""Photos with boxes in, a detector that you can trust, see and ship out."""

__version__ = "0.1.0"
