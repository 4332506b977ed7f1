"""Photos, or the crops of a detection data set -> a classifier on Keras 3, and what it says of labels.

* `backbones` makes networks of Keras Applications that know ImageNet, and says what they really started from.
* `features` computes what such a network sees in pictures, each once.

Importing this loads no TensorFlow; making a network does.
"""
