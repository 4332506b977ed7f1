"""An export folder -> the function from letterboxed photos to the model's detections. One program a module."""
