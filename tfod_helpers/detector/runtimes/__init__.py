"""An export folder -> the function from square photos to the model's detections. One program a module."""
