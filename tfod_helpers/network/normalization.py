"""How the Model Garden feeds its models, (x - mean) / std: the ImageNet statistics, for values from 0 to 255."""

import numpy as np

MEAN_RGB = np.array([0.485, 0.456, 0.406], np.float32) * 255
STDDEV_RGB = np.array([0.229, 0.224, 0.225], np.float32) * 255
