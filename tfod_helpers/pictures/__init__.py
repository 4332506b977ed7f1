"""Photos, boxes, problems and results -> figures.

Every function returns a `Picture`: a Matplotlib figure that a notebook shows once where a cell ends
in it, and that ``.save("name.pdf")`` writes for print. Nothing in this package needs TensorFlow.
"""

from tfod_helpers.annotations.appearance import colour_of
from tfod_helpers.pictures.box_charts import plot_places, plot_sizes
from tfod_helpers.pictures.certificate_chart import plot_certificate
from tfod_helpers.pictures.classifier_charts import plot_classification, plot_epochs
from tfod_helpers.pictures.classifier_galleries import show_classified
from tfod_helpers.pictures.comparison_charts import plot_learning_curve, plot_runs
from tfod_helpers.pictures.confidence_charts import plot_calibration, plot_thresholds
from tfod_helpers.pictures.crop_galleries import show_classes, show_label_errors, show_mistakes
from tfod_helpers.pictures.dataset_charts import plot_labels
from tfod_helpers.pictures.evaluation_charts import plot_evaluation
from tfod_helpers.pictures.photo_galleries import show_detections, show_images, show_predictions, show_ranking
from tfod_helpers.pictures.picture import Picture, counted
from tfod_helpers.pictures.problem_gallery import show_problems
from tfod_helpers.pictures.training_charts import plot_history, plot_learning_rates

__all__ = [
    "Picture",
    "colour_of",
    "counted",
    "plot_calibration",
    "plot_certificate",
    "plot_classification",
    "plot_epochs",
    "plot_evaluation",
    "plot_history",
    "plot_labels",
    "plot_learning_curve",
    "plot_learning_rates",
    "plot_places",
    "plot_runs",
    "plot_sizes",
    "plot_thresholds",
    "show_classes",
    "show_classified",
    "show_detections",
    "show_images",
    "show_label_errors",
    "show_mistakes",
    "show_predictions",
    "show_problems",
    "show_ranking",
]
