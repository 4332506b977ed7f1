"use strict";
// The network's encoded boxes and logits -> detections in the photo's pixels: the arithmetic of
// tfod_helpers/detector/decoding.py, and like there only for the few anchors whose score is no noise.

const LARGEST = Math.log(1000 / 16); // a box is at most 62 times its anchor

// outputs: {boxes: (anchors, 4) [dy, dx, dh, dw], logits: (anchors, classes)}, flat;
// anchors: (anchors, 4) [ycenter, xcenter, height, width] in pixels of the square, flat; nms: as in export.json.
// Returns [{xmin, ymin, xmax, ymax, score, classId}], in pixels of the square, the highest score first.
function decode({ boxes, logits }, anchors, side, nms) {
  const classes = logits.length / (anchors.length / 4);
  const least = Math.log(nms.least_score / (1 - nms.least_score));
  const found = [];
  for (let at = 0; at < logits.length; at++) {
    if (logits[at] < least) continue;
    const first = Math.floor(at / classes) * 4;
    const corners = cornersOf(boxes.subarray(first, first + 4), anchors.subarray(first, first + 4));
    found.push({ ...corners, score: 1 / (1 + Math.exp(-logits[at])), classId: (at % classes) + 1 });
  }
  found.sort((one, other) => other.score - one.score);
  const clip = (value) => Math.min(Math.max(value, 0), side);
  const clipped = ({ xmin, ymin, xmax, ymax, ...box }) =>
    ({ ...box, xmin: clip(xmin), ymin: clip(ymin), xmax: clip(xmax), ymax: clip(ymax) });
  return suppress(found, nms).slice(0, nms.detections).map(clipped);
}

function cornersOf([dy, dx, dh, dw], [ycenter, xcenter, height, width]) {
  const x = dx * width + xcenter, y = dy * height + ycenter;
  const halfWidth = (Math.exp(Math.min(dw, LARGEST)) * width) / 2;
  const halfHeight = (Math.exp(Math.min(dh, LARGEST)) * height) / 2;
  return { xmin: x - halfWidth, ymin: y - halfHeight, xmax: x + halfWidth, ymax: y + halfHeight };
}

// Keeps, class by class, each box that overlaps no kept one of a higher score by more than nms.iou.
function suppress(found, nms) {
  const kept = [], byClass = new Map();
  for (const box of found) {
    if (!byClass.has(box.classId)) byClass.set(box.classId, []);
    const others = byClass.get(box.classId);
    if (others.length >= nms.detections || others.some((other) => overlaps(other, box, nms.iou))) continue;
    others.push(box);
    kept.push(box);
  }
  return kept;
}

function overlaps(one, other, iou) {
  const width = Math.min(one.xmax, other.xmax) - Math.max(one.xmin, other.xmin);
  const height = Math.min(one.ymax, other.ymax) - Math.max(one.ymin, other.ymin);
  const both = Math.max(width, 0) * Math.max(height, 0);
  const area = (box) => (box.xmax - box.xmin) * (box.ymax - box.ymin);
  return both > iou * (area(one) + area(other) - both);
}

// Brings boxes of the square back into a photo's pixels; of one in the padding beside the photo nothing is left.
function toPhoto(found, { scaleX, scaleY }, width, height) {
  const clip = (value, most) => Math.min(Math.max(value, 0), most);
  return found
    .map((box) => ({
      ...box,
      xmin: clip(box.xmin / scaleX, width),
      ymin: clip(box.ymin / scaleY, height),
      xmax: clip(box.xmax / scaleX, width),
      ymax: clip(box.ymax / scaleY, height),
    }))
    .filter((box) => box.xmax > box.xmin && box.ymax > box.ymin);
}
